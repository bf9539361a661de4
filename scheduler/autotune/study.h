// A study is its log: an append-only list of events, and a pure function of it. suggestion = f(log, seed, trial).
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <variant>

#include "absl/status/statusor.h"
#include "scheduler/autotune/options.h"
#include "scheduler/autotune/space.h"

namespace ds::autotune {

enum class Failure { oom, nan, timeout, user_error, infrastructure };
const char* name_of(Failure failure);
absl::StatusOr<Failure> failure_named(const std::string& name);

struct Asked {  // a trial begins
  int64_t trial;
  Point point;
  std::string source;
};
struct Reported {  // it is under way
  int64_t trial;
  int64_t step;  // rising
  double value;
};
struct Told {                           // it ended with a value of each measured objective, or early at its last report
  enum End { whole, stopped, paused };  // paused: it has a checkpoint to go on from
  int64_t trial;
  std::vector<double> values;
  End end = whole;
};
struct Resumed {  // a paused one is under way again
  int64_t trial;
};
struct Failed {  // it ended without; infrastructure: the same point is due again, and nothing is learnt of it
  int64_t trial;
  Failure failure;
};
using Event = std::variant<Asked, Reported, Told, Failed, Resumed>;

struct Trial {
  enum State { running, finished, stopped, paused, failed };
  int64_t id;
  Point point;
  std::string source;
  State state = running;
  bool resumed = false;        // it runs to its end
  std::vector<double> values;  // of all objectives
  Failure failure = Failure::infrastructure;
  std::vector<std::pair<int64_t, double>> curve;
};

// What needs no trial to be known, such as the number of a model's parameters.
using Known = std::function<double(const Space&, const Point&)>;

struct Objective {
  bool maximize = true;
  Known known = {};  // empty: trials measure it
};

struct StudyOptions {
  uint64_t seed = 0;
  std::vector<Objective> objectives = {Objective{}};  // one or two, and one that is measured
  int startup = 0;          // trials before the surrogate is asked; 0: by the number of parameters
  bool replicates = true;   // run good points again where noise hides which is best
  bool stopping = true;     // should_stop() may say so
  int64_t least_steps = 1;  // reports before a trial may be stopped
  SurrogateOptions surrogate = {};
  ProposeOptions propose = {};
};

struct Suggestion {
  Point point;
  std::string source;
  std::optional<int64_t> resumes = {};  // the paused trial that is to go on, in place of a new one
};

struct Acquisition;  // propose.h
struct Play;         // arms.h

struct Recommendation {
  int64_t trial;           // whose point has the best posterior mean
  double mean, low, high;  // of its value without noise; of what one more run of it would bring, a 95 % interval
  int64_t best_observed;   // whose reported value is the best
};

// A trial of the front of two objectives: no other is better in both, by posterior mean where they are measured.
struct Best {
  int64_t trial;
  std::vector<double> means;
};

class Study {
 public:
  static absl::StatusOr<Study> create(Space space, StudyOptions options);

  Study(Study&&) noexcept;
  Study& operator=(Study&&) noexcept;
  ~Study();

  // Errors: a trial that is not there, is there twice, or has ended; values that are not finite, or too many.
  absl::Status apply(const Event& event);

  absl::StatusOr<Suggestion> suggest(int64_t trial) const;
  // Whether a running trial is hopeless by its reports; where two objectives are measured none is. Of two with one that
  // is known, a trial competes with those that are no worse in it. Errors: no such trial.
  absl::StatusOr<bool> should_stop(int64_t trial) const;
  // When no new trial is wanted: the paused one that is the likeliest to end better than all that have finished, if its
  // chance is worth the rest of its way. Of two measured objectives none is.
  std::optional<int64_t> to_finish() const;
  // An error before the first trial has ended with a value. Studies of one objective.
  absl::StatusOr<Recommendation> recommend() const;
  // Of two objectives; from the best of the first one on. Trials that were stopped early only where none has finished.
  // Errors as above.
  absl::StatusOr<std::vector<Best>> front() const;

  // Posterior means of the first measured objective, in its own units. There must be a trial with a value.
  std::vector<double> means_at(const std::vector<Point>& points) const;

  const Space& space() const { return *space_; }
  const StudyOptions& options() const { return options_; }
  const std::vector<Trial>& trials() const { return trials_; }
  const std::vector<Event>& log() const { return log_; }
  int64_t next_trial() const { return trials_.empty() ? 0 : trials_.back().id + 1; }

 private:
  struct Learnt;
  Study(Space space, StudyOptions options);
  absl::StatusOr<Trial*> running(int64_t trial);
  absl::Status apply_asked(const Asked& event);
  absl::Status apply_reported(const Reported& event);
  absl::Status apply_told(const Told& event);
  absl::Status apply_failed(const Failed& event);
  absl::Status apply_resumed(const Resumed& event);
  void learn(const Trial& trial, const std::vector<double>& measured);
  std::vector<Point> pending() const;
  std::optional<Point> replicate(Random& random) const;
  absl::StatusOr<Suggestion> start(int64_t trial, Random& random) const;
  absl::StatusOr<Suggestion> search(Random& random) const;
  std::vector<Play> plays() const;
  std::pair<double, bool> region() const;
  std::optional<Suggestion> step(Random& random) const;
  double chance_demanded() const;
  bool blocked(const Point& point) const;
  std::vector<Trial> rivals(const Trial& own) const;
  int64_t whole_steps() const;
  std::optional<double> chance_to_lead(const std::vector<Trial>& others, const Trial& own) const;
  std::optional<Suggestion> resumption(const Acquisition& acquisition, double fresh) const;

  std::shared_ptr<const Space> space_;
  StudyOptions options_;
  std::vector<Trial> trials_;
  std::map<int64_t, size_t> by_id_;
  std::vector<Event> log_;
  std::vector<int64_t> ended_;  // trials that have ended with values, in the order in which they first did
  std::vector<Point> due_;      // lost to infrastructure, oldest first
  std::unique_ptr<Learnt> learnt_;
};

}  // namespace ds::autotune

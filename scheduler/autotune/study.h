// A study is its log: an append-only list of events, and a pure function of it. suggestion = f(log, seed, trial).
#pragma once
#include <map>
#include <variant>

#include "absl/status/statusor.h"
#include "scheduler/autotune/propose.h"

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
struct Told {  // it ended with one value an objective; `stopped`: early, by advice, at its last report
  int64_t trial;
  std::vector<double> values;
  bool stopped = false;
};
struct Failed {  // it ended without; infrastructure: the same point is due again, and nothing is learnt of it
  int64_t trial;
  Failure failure;
};
using Event = std::variant<Asked, Reported, Told, Failed>;

struct Trial {
  enum State { running, finished, stopped, failed };
  int64_t id;
  Point point;
  std::string source;
  State state = running;
  std::vector<double> values;
  Failure failure = Failure::infrastructure;
  std::vector<std::pair<int64_t, double>> curve;
};

struct StudyOptions {
  uint64_t seed = 0;
  std::vector<bool> maximize = {true};  // one an objective; more than one is refused
  int startup = 0;                      // trials before the surrogate is asked; 0: by the number of parameters
  bool replicates = true;               // run good points again where noise hides which is best
  bool stopping = true;                 // should_stop() may say so
  int64_t least_steps = 1;              // reports before a trial may be stopped
  SurrogateOptions surrogate = {};
  ProposeOptions propose = {};
};

struct Suggestion {
  Point point;
  std::string source;
};

struct Recommendation {
  int64_t trial;           // whose point has the best posterior mean
  double mean, low, high;  // of its value without noise; a 95 % interval
  int64_t best_observed;   // whose reported value is the best
};

class Study {
 public:
  static absl::StatusOr<Study> create(Space space, StudyOptions options);

  // Errors: a trial that is not there, is there twice, or has ended; values that are not finite, or too many.
  absl::Status apply(const Event& event);

  absl::StatusOr<Suggestion> suggest(int64_t trial) const;
  // Whether a running trial is hopeless by its reports. Errors: no such trial.
  absl::StatusOr<bool> should_stop(int64_t trial) const;
  // An error before the first trial has ended with a value. Studies of one objective.
  absl::StatusOr<Recommendation> recommend() const;

  const Space& space() const { return *space_; }
  const Surrogate& model() const { return objectives_[0]; }  // of what it maximises
  const StudyOptions& options() const { return options_; }
  const std::vector<Trial>& trials() const { return trials_; }
  const std::vector<Event>& log() const { return log_; }
  int64_t next_trial() const { return trials_.empty() ? 0 : trials_.back().id + 1; }

 private:
  Study(Space space, StudyOptions options);
  absl::StatusOr<Trial*> running(int64_t trial);
  absl::Status apply_asked(const Asked& event);
  absl::Status apply_told(const Told& event);
  absl::Status apply_failed(const Failed& event);
  std::vector<Point> pending() const;
  std::vector<Point> elites(size_t most) const;
  std::optional<Point> replicate(Random& random) const;
  Suggestion start(int64_t trial, Random& random) const;
  double chance_demanded() const;
  bool blocked(const Point& point) const;
  int startup() const;

  std::shared_ptr<const Space> space_;
  StudyOptions options_;
  std::vector<Trial> trials_;
  std::map<int64_t, size_t> by_id_;
  std::vector<Event> log_;
  std::vector<Surrogate> objectives_;
  Surrogate feasible_;                    // of 1 where a trial ended with a value, 0 where it failed for good
  std::map<Point, int> runs_, hopeless_;  // finished and failed trials, by point
  std::vector<Point> due_;                // lost to infrastructure, oldest first
  bool failures_ = false;
};

}  // namespace ds::autotune

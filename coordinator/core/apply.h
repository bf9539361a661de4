// The coordinator's mind: a function. Everything that touches the world stands outside it.
//
//   PENDING -> ADMITTED -> STARTING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED
//      ^          |  a rank exits or a worker is lost  |
//      |          +-> RECOVERING: all ranks of the generation are stopped, and when the last slot is released the
//   PAUSED            job is placed anew with the next generation
//
// A study keeps trials under way, each a job like any other; what to try next, whom to stop and what to recommend it
// asks the tuner, which stands outside too.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/core/state.h"
#include "ds/v1/worker.pb.h"

namespace ds::coordinator {

// To the worker's stream, if it has one. Lost messages do no harm: registering again restores what is due.
// StartRank.job_dir and metrics_step are filled in by the sender.
struct Send {
  std::string worker;
  v1::CoordinatorMessage message;
};
// The job has changed; its revision is the state's.
struct Notify {
  std::string job;
  v1::JobState before, after;
};
// For /metrics: a queue wait, or the time from a failure to the next completed step.
struct Measure {
  enum What { kQueueWait, kRecovery } what;
  std::string job;
  double seconds;
};
// The study has changed, and the states of these trials have.
struct NotifyStudy {
  std::string study;
  v1::StudyState before, after;
  std::vector<int64_t> trials;
};
// What the tuner is asked. The answer is an event, and a function of the first `prefix` entries of the study's log:
// asking again does no harm.
struct Tune {
  enum What { kSuggest, kFinish, kJudge, kRecommend } what;
  std::string study;
  int64_t trial;
  int64_t prefix;
};
using Effect = std::variant<Send, Notify, Measure, NotifyStudy, Tune>;

// Whether a request makes sense now. NotFound, FailedPrecondition with the value; the log holds checked events only.
absl::Status check(const State& state, const v1::Event& event);

// Advances the state by one event. Deterministic: no clock, I/O or randomness; replaying a log rebuilds the state.
// An event that makes no sense (any more) changes nothing but the revision.
std::vector<Effect> apply(State& state, const v1::Event& event);

// When a Tick is due, in Unix microseconds; 0: none.
int64_t next_deadline_us(const State& state);

// Id that the next JobSubmitted with this name will get, unique for all time: fashion-mnist-17.
std::string next_id(const State& state, const std::string& name);
// And the next StudySubmitted, unique among studies.
std::string next_study_id(const State& state, const std::string& name);

// What the tuner owes answers to: asked anew when the process that was asked has died.
std::vector<Tune> unanswered(const State& state);

}  // namespace ds::coordinator

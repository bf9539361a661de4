// The thread that suggests, judges and recommends: it keeps an autotune::Study for each study of the coordinator's, fed
// from the study's log, and answers with events. An answer depends on the first `prefix` entries of the log alone.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "coordinator/core/apply.h"
#include "scheduler/autotune/study.h"

namespace ds::coordinator {

class Tuner {
 public:
  using Answer = std::function<void(v1::Event)>;
  using Took = std::function<void(absl::Duration)>;  // from a question for a suggestion to its answer
  using Importance = std::function<void(absl::StatusOr<v1::ImportanceResponse>)>;

  Tuner(Answer answer, Took took) : answer_(std::move(answer)), took_(std::move(took)) {}
  ~Tuner() { stop(); }
  void start();  // until then questions are kept
  void stop();   // when all that was asked is answered

  // Any thread, at once. `record` is the study as it stands, whose log has at least the question's prefix.
  void ask(const Tune& question, const v1::StudyRecord& record);
  // Of the study as it stands; `reply` is called on the tuner's thread.
  void ask_importance(const v1::StudyRecord& record, Importance reply);
  void forget(const std::string& study);

 private:
  // A study as far as its log has come here, and the tuner's model of a prefix of it.
  struct Known {
    v1::StudySpec spec;
    std::vector<v1::TuneEvent> log;
    std::optional<autotune::Study> study;
    size_t applied = 0;
  };
  // What the thread does next; `log`: entries from `from` on.
  struct Work {
    std::string study;
    v1::StudySpec spec;  // where from == 0
    size_t from = 0;
    std::vector<v1::TuneEvent> log;
    std::function<void(Known&)> run;  // empty: forget the study
  };

  static absl::StatusOr<const autotune::Study*> at(Known& known, size_t prefix);
  void run();
  void push(const v1::StudyRecord& record, std::function<void(Known&)> work);
  void take(Work work);
  void answer(const Tune& question, Known& known);

  const Answer answer_;
  const Took took_;
  absl::Mutex mutex_;
  std::deque<Work> work_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> sent_ ABSL_GUARDED_BY(mutex_);  // entries of each log that are here or on their way
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Known> known_;  // the thread's
  std::thread thread_;
};

}  // namespace ds::coordinator

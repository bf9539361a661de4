// A worker whose trials are a function: it runs what it is told to, reports the function's values, and comes back
// whenever the coordinator does.
#pragma once
#include <atomic>
#include <optional>
#include <set>

#include "tests/coordinator/process.h"

namespace ds::coordinator {

class TrialWorker {
 public:
  // Test accuracy after an epoch (1, 2, ...); nothing: the rank fails as its user's error.
  using Objective = std::function<std::optional<double>(const v1::JobSpec&, int64_t epoch)>;

  TrialWorker(const Coordinator& coordinator, Objective objective)
      : coordinator_(coordinator), objective_(std::move(objective)), thread_([this] { run(); }) {}
  ~TrialWorker() {
    stop_ = true;
    thread_.join();
  }
  std::set<std::string> jobs() const {  // that were ever started
    absl::MutexLock lock(&mutex_);
    return jobs_;
  }

 private:
  void run() {
    while (!stop_) {
      std::vector<v1::ExecutorReport> mine;
      if (now_) mine.push_back(report(met_ ? v1::RANK_RUNNING : v1::RANK_READY));
      FakeWorker worker(coordinator_, "w1", 1, mine);
      while (!stop_) {
        const v1::CoordinatorMessage m = worker.next([](const auto&) { return true; }, absl::Milliseconds(200));
        if (m.message_case() == v1::CoordinatorMessage::MESSAGE_NOT_SET && worker.over()) break;
        hear(worker, m);
      }
    }
  }

  void hear(FakeWorker& worker, const v1::CoordinatorMessage& m) {
    if (m.has_start()) {
      now_ = m.start();
      met_ = false;
      absl::MutexLock lock(&mutex_);
      jobs_.insert(now_->job());
    }
    if (m.has_start()) worker.report(report(v1::RANK_READY));
    if (m.has_registered() && now_ && met_) train(worker);
    if (m.has_meet() && now_ && m.meet().job() == now_->job()) {
      met_ = true;
      worker.report(report(v1::RANK_RUNNING));
      train(worker);
    }
    if (m.has_stop() && now_ && m.stop().job() == now_->job()) {
      v1::ExecutorReport end = report(v1::RANK_EXITED);
      end.set_exit_code(75);
      end.set_stopped(true);
      worker.report(end);
      now_.reset();
    }
    if (m.has_ack() && m.ack().ended() && now_ && m.ack().job() == now_->job()) now_.reset();
  }

  void train(FakeWorker& worker) {
    v1::WorkerMessage message;
    v1::MetricsBatch& batch = *message.mutable_metrics();
    batch.set_job(now_->job());
    batch.set_generation(now_->generation());
    batch.set_sequence(1);
    bool fails = false;
    for (int64_t epoch = 1; epoch <= now_->spec().train().epochs(); ++epoch) {
      const std::optional<double> value = objective_(now_->spec(), epoch);
      fails = fails || !value;
      if (!value) break;
      v1::MetricRecord* e = batch.add_records();
      e->set_kind("eval");
      e->set_epoch(epoch - 1);
      e->set_step(epoch);
      e->set_accuracy(*value);
      batch.mutable_metrics()->set_test_accuracy(*value);
    }
    batch.mutable_progress()->set_step(now_->spec().train().epochs());
    worker.send(message);
    v1::ExecutorReport end = report(v1::RANK_EXITED);
    end.set_exit_code(fails ? 2 : 0);
    if (fails) end.set_failure(v1::FAILURE_USER_ERROR);
    worker.report(end);
  }

  v1::ExecutorReport report(v1::RankState state) const {
    return FakeWorker::executor(now_->job(), now_->generation(), now_->rank(), state);
  }

  const Coordinator& coordinator_;
  const Objective objective_;
  std::optional<v1::StartRank> now_;  // the thread's
  bool met_ = false;
  mutable absl::Mutex mutex_;
  std::set<std::string> jobs_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace ds::coordinator

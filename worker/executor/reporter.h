// What the training loop tells, held until the sender takes it.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"
#include "engine/train/trainer.h"
#include "worker/executor/journal.h"

namespace ds::worker {

class Reporter final : public train::TrainListener {
 public:
  explicit Reporter(const v1::StartRank& start) : start_(start) {}

  void on_start(int64_t step, int64_t total_steps) override ABSL_LOCKS_EXCLUDED(mutex_);
  void on_records(std::span<const train::StepRecord> records) override ABSL_LOCKS_EXCLUDED(mutex_);
  void on_record(v1::MetricRecord record) ABSL_LOCKS_EXCLUDED(mutex_);  // a script's
  void on_progress(const train::TrainProgress& progress) override ABSL_LOCKS_EXCLUDED(mutex_);
  void on_checkpoint(const std::string& path, int64_t step) override ABSL_LOCKS_EXCLUDED(mutex_);
  void on_warning(const std::string& text) override ABSL_LOCKS_EXCLUDED(mutex_);
  bool stop_requested() override { return stop_; }
  train::TrainStatus& status() override { return status_; }

  void request_stop() { stop_ = true; }
  // The next message, of at most a few thousand records; nothing when all is told.
  std::optional<v1::ExecutorMetrics> take() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void write_journal(std::span<const v1::MetricRecord> records);
  void warn(std::string text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void keep(v1::MetricRecord record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const v1::StartRank start_;
  train::TrainStatus status_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<Journal> journal_;  // the training thread's
  absl::Mutex mutex_;
  std::vector<v1::MetricRecord> records_ ABSL_GUARDED_BY(mutex_);
  v1::Progress progress_ ABSL_GUARDED_BY(mutex_);
  v1::JobMetrics metrics_ ABSL_GUARDED_BY(mutex_);
  bool has_metrics_ ABSL_GUARDED_BY(mutex_) = false;
  std::string checkpoint_ ABSL_GUARDED_BY(mutex_);
  int64_t checkpoint_step_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string warning_ ABSL_GUARDED_BY(mutex_);  // the newest
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ds::worker

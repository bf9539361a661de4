#include "worker/executor/reporter.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/executor/translate.h"
#include "worker/logging.h"

namespace ds::worker {
namespace {
constexpr size_t kRecordsPerMessage = 4000;
}

void Reporter::on_start(int64_t step, int64_t total_steps) {
  spdlog::info("starts at step {} of {}", step, total_steps);
  if (start_.rank() == 0 && step < start_.checkpoint_step()) {
    absl::MutexLock lock(&mutex_);
    warn(absl::StrCat("the checkpoint of step ", start_.checkpoint_step(),
                      " is gone or refused: training went on from ",
                      step > 0 ? absl::StrCat("step ", step) : "the beginning",
                      warning_.empty() ? "" : absl::StrCat("; ", warning_)));
  }
  status_.step = step;
  if (start_.rank() != 0) return;
  journal_ = std::make_unique<Journal>(start_.job_dir(), start_.generation());
  std::vector<v1::MetricRecord> past =
      Journal::replay(start_.job_dir(), start_.generation(), start_.metrics_step(), step);
  absl::MutexLock lock(&mutex_);
  for (v1::MetricRecord& record : past) keep(std::move(record));
  progress_.set_step(step);
  progress_.set_total_steps(total_steps);
  changed_ = true;
}

void Reporter::keep(v1::MetricRecord record) {
  if (record.kind() == "train") {
    metrics_.set_loss(record.loss());
    metrics_.set_samples_per_second(record.samples_per_second());
  } else {
    if (record.has_accuracy()) metrics_.set_test_accuracy(record.accuracy());
    if (record.has_loss()) metrics_.set_test_loss(record.loss());
    for (const auto& [name, value] : record.reported()) (*metrics_.mutable_reported())[name] = value;
  }
  has_metrics_ = true;
  records_.push_back(std::move(record));
}

void Reporter::on_records(std::span<const train::StepRecord> records) {
  std::vector<v1::MetricRecord> messages;
  for (const train::StepRecord& record : records) messages.push_back(to_message(record, start_.generation()));
  write_journal(messages);
  absl::MutexLock lock(&mutex_);
  for (v1::MetricRecord& message : messages) keep(std::move(message));
}

void Reporter::on_record(v1::MetricRecord record) {
  record.set_generation(start_.generation());
  write_journal({&record, 1});
  absl::MutexLock lock(&mutex_);
  keep(std::move(record));
}

void Reporter::on_progress(const train::TrainProgress& progress) {
  absl::MutexLock lock(&mutex_);
  progress_.set_step(progress.step);
  progress_.set_total_steps(progress.total_steps);
  progress_.set_epoch(progress.epoch);
  metrics_.set_train_seconds(progress.train_seconds);
  changed_ = true;
}

void Reporter::on_checkpoint(const std::string& path, int64_t step) {
  absl::MutexLock lock(&mutex_);
  checkpoint_ = path;
  checkpoint_step_ = step;
}

void Reporter::on_warning(const std::string& text) {
  absl::MutexLock lock(&mutex_);
  warn(text);
}

void Reporter::warn(std::string text) {
  spdlog::warn("{}", text);
  warning_ = std::move(text);
}

void Reporter::write_journal(std::span<const v1::MetricRecord> records) {
  if (!journal_) return;
  try {
    journal_->append(records);
  } catch (const std::system_error& e) {  // a full disk costs a killed job some history, not the training
    spdlog::warn("no journal from here on: {}", e.what());
    journal_.reset();
  }
}

std::optional<v1::ExecutorMetrics> Reporter::take() {
  absl::MutexLock lock(&mutex_);
  if (records_.empty() && !changed_ && checkpoint_.empty() && warning_.empty()) return std::nullopt;
  v1::ExecutorMetrics message;
  size_t count = std::min(records_.size(), kRecordsPerMessage);
  for (size_t i = 0; i < count; ++i) *message.add_records() = std::move(records_[i]);
  records_.erase(records_.begin(), records_.begin() + static_cast<ptrdiff_t>(count));
  *message.mutable_progress() = progress_;
  if (has_metrics_) *message.mutable_metrics() = metrics_;
  message.set_warning(std::exchange(warning_, ""));
  if (!records_.empty()) return message;  // the checkpoint follows the last of the records before it
  message.set_checkpoint(std::exchange(checkpoint_, ""));
  message.set_checkpoint_step(std::exchange(checkpoint_step_, 0));
  changed_ = false;
  return message;
}

}  // namespace ds::worker

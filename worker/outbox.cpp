#include "worker/outbox.h"

#include <algorithm>

namespace ds::worker {

void Outbox::open(v1::WorkerMessage greeting) {
  queue_.clear();
  open_ = true;
  push(std::move(greeting));
  for (const auto& [source, batches] : kept_) queue_.insert(queue_.end(), batches.begin(), batches.end());
}

void Outbox::close() {
  open_ = false;
  queue_.clear();
}

void Outbox::push(v1::WorkerMessage message) {
  if (open_) queue_.push_back(std::make_shared<const v1::WorkerMessage>(std::move(message)));
}

void Outbox::push_metrics(const std::string& job, int64_t generation, v1::ExecutorMetrics metrics) {
  Source source{job, generation};
  auto message = std::make_shared<v1::WorkerMessage>();
  v1::MetricsBatch& batch = *message->mutable_metrics();
  batch.set_job(job);
  batch.set_generation(generation);
  batch.set_sequence(++last_sequence_[source]);
  *batch.mutable_records() = std::move(*metrics.mutable_records());
  if (metrics.has_progress()) *batch.mutable_progress() = metrics.progress();
  if (metrics.has_metrics()) *batch.mutable_metrics() = metrics.metrics();
  batch.set_checkpoint(metrics.checkpoint());
  batch.set_checkpoint_step(metrics.checkpoint_step());
  batch.set_warning(metrics.warning());
  bytes_ += batch.ByteSizeLong();
  kept_[source].push_back(message);
  if (open_) queue_.push_back(message);
  while (bytes_ > bound_) drop_oldest();
}

void Outbox::drop_oldest() {
  auto fullest = std::max_element(kept_.begin(), kept_.end(),
                                  [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  MessagePtr oldest = fullest->second.front();
  std::erase(queue_, oldest);
  bytes_ -= oldest->metrics().ByteSizeLong();
  fullest->second.pop_front();
  if (fullest->second.empty()) kept_.erase(fullest);
  ++dropped_;
}

void Outbox::acknowledge(const v1::Ack& ack) {
  auto kept = kept_.find({ack.job(), ack.generation()});
  if (kept == kept_.end()) return;
  std::deque<MessagePtr>& batches = kept->second;
  while (!batches.empty() && batches.front()->metrics().sequence() <= ack.metrics_sequence()) {
    bytes_ -= batches.front()->metrics().ByteSizeLong();
    batches.pop_front();
  }
  if (batches.empty()) kept_.erase(kept);
}

MessagePtr Outbox::pop() {
  if (queue_.empty()) return nullptr;
  MessagePtr first = std::move(queue_.front());
  queue_.pop_front();
  return first;
}

}  // namespace ds::worker

// What goes to the coordinator, in order. Metrics are kept until they are acknowledged and go again on each new stream;
// everything else is state, which registration tells anew. Not thread-safe: the agent guards it.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"

namespace ds::worker {

using MessagePtr = std::shared_ptr<const v1::WorkerMessage>;

class Outbox {
 public:
  explicit Outbox(size_t metrics_bound_bytes = 256 << 20) : bound_(metrics_bound_bytes) {}

  // A new stream: `greeting` first, then every metrics batch that is not acknowledged. What was queued is forgotten.
  void open(v1::WorkerMessage greeting);
  void close();
  // Dropped while no stream is open.
  void push(v1::WorkerMessage message);
  // Numbered from 1 within (job, generation). Beyond the bound the oldest batch goes, and is counted.
  void push_metrics(const std::string& job, int64_t generation, v1::ExecutorMetrics metrics);
  void acknowledge(const v1::Ack& ack);

  bool empty() const { return queue_.empty(); }
  MessagePtr pop();
  bool all_acknowledged() const { return kept_.empty(); }
  int64_t dropped() const { return dropped_; }

 private:
  using Source = std::pair<std::string, int64_t>;  // job, generation
  void drop_oldest();

  const size_t bound_;
  bool open_ = false;
  std::deque<MessagePtr> queue_;
  std::map<Source, std::deque<MessagePtr>> kept_;  // ascending sequence
  std::map<Source, int64_t> last_sequence_;
  size_t bytes_ = 0;
  int64_t dropped_ = 0;
};

}  // namespace ds::worker

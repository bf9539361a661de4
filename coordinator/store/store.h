// The coordinator's disk: the event log with snapshots, and the jobs' histories. SQLite in WAL mode, synchronous=FULL.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/state.h"

struct sqlite3;

namespace ds::coordinator {

// What one commit makes durable.
struct Batch {
  int64_t first_seq = 0;            // of events[0]; the log has no gaps
  std::vector<std::string> events;  // serialised v1::Event
  struct Row {
    std::string job;
    v1::MetricRecord record;  // with its generation
  };
  std::vector<Row> metrics;
};

class Store {
 public:
  // Opens or makes `folder`/coordinator.db and keeps every other coordinator out of the folder.
  // FailedPrecondition: the folder is in use. DataLoss: the file is not ours or is damaged; it is left as it is.
  static absl::StatusOr<std::unique_ptr<Store>> open(const std::string& folder);
  ~Store();

  // The newest snapshot with the events after it applied. DataLoss names the first event that is missing or damaged.
  absl::StatusOr<State> load();

  // One transaction, on disk when this returns. A record replaces the one of the same job, kind and step unless that
  // has a newer generation: after a restart from a checkpoint the history reads as the unbroken run.
  absl::Status commit(const Batch& batch);

  // Stores the state and drops the events it contains.
  absl::Status snapshot(const State& state);

  // A job's history by step, training before evaluation. Any thread.
  absl::StatusOr<std::vector<v1::MetricRecord>> metrics(const std::string& job);
  // The last training step of a job's history; 0: none. Any thread.
  int64_t metrics_step(const std::string& job);

 private:
  Store() = default;
  absl::Status prepare(const std::string& path);

  int lock_ = -1;
  std::string path_;
  sqlite3* log_ = nullptr;  // the state thread's
  absl::Mutex mutex_;
  sqlite3* reader_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// Equal messages give equal bytes, maps included.
std::string serialise(const google::protobuf::MessageLite& message);

}  // namespace ds::coordinator

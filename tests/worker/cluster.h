// A scripted coordinator over real gRPC, and a real ds-worker process beside it.
#pragma once
#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ds/v1/artifact.grpc.pb.h"
#include "ds/v1/worker.grpc.pb.h"
#include "worker/process.h"

namespace ds::worker::testing {

// Artifacts in memory.
class ScriptedArtifacts final : public v1::ArtifactService::Service {
 public:
  std::string add(const std::string& bytes) ABSL_LOCKS_EXCLUDED(mutex_);  // its digest
  // From now on a stream stands still after so many bytes, until it breaks or the limit is lifted (-1).
  void stand_still_after(int64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<int64_t> offsets() ABSL_LOCKS_EXCLUDED(mutex_);  // of every Get
  grpc::Status Get(grpc::ServerContext* context, const v1::GetArtifactRequest* request,
                   grpc::ServerWriter<v1::ArtifactChunk>* writer) override;

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::string> bytes_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> offsets_ ABSL_GUARDED_BY(mutex_);
  int64_t limit_ ABSL_GUARDED_BY(mutex_) = -1;
};

class ScriptedCoordinator final : public v1::WorkerService::Service {
 public:
  ScriptedCoordinator() { start(); }
  ~ScriptedCoordinator() override { stop(); }
  void start();  // on the same port each time
  void stop();   // breaks every stream, like a kill
  std::string address() const;
  ScriptedArtifacts artifacts;

  void acknowledge_ends(bool yes) ABSL_LOCKS_EXCLUDED(mutex_);  // at first: no
  void acknowledge(bool yes) ABSL_LOCKS_EXCLUDED(mutex_);       // metrics and logs, as they come; at first: yes
  void send(const v1::CoordinatorMessage& message) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for a message, among all so far and those to come, that `wanted` likes.
  using Wanted = std::function<bool(const v1::WorkerMessage&)>;
  std::optional<v1::WorkerMessage> wait(const Wanted& wanted, absl::Duration limit = absl::Seconds(10))
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<v1::ExecutorReport> wait_state(const std::string& job, int64_t generation, int rank,
                                               v1::RankState state, absl::Duration limit = absl::Seconds(10));
  std::vector<v1::WorkerMessage> messages() ABSL_LOCKS_EXCLUDED(mutex_);
  void forget() ABSL_LOCKS_EXCLUDED(mutex_);  // the messages so far
  std::string log(const std::string& job, int64_t generation, int rank) ABSL_LOCKS_EXCLUDED(mutex_);
  bool wait_step(const std::string& job, int64_t step, absl::Duration limit = absl::Seconds(10));

  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) override;

 private:
  void take(const v1::WorkerMessage& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void acknowledge_end(const v1::ExecutorReport& report) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void acknowledge_metrics(const v1::MetricsBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void store_log(const v1::LogBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  absl::Mutex mutex_;
  bool acknowledging_ends_ ABSL_GUARDED_BY(mutex_) = false;
  bool acknowledging_ ABSL_GUARDED_BY(mutex_) = true;
  grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::vector<v1::WorkerMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> logs_ ABSL_GUARDED_BY(mutex_);
};

// ds-worker as a child, in a folder of its own. Killed at the end of the test.
class WorkerProcess {
 public:
  WorkerProcess(const ScriptedCoordinator& coordinator, std::string folder, std::vector<std::string> more = {},
                const std::string& executor = DS_FAKE_EXECUTOR);
  ~WorkerProcess();
  pid_t pid() const { return process_.pid; }
  void signal(int number) { send_signal(process_, number); }
  std::optional<ExitStatus> wait(absl::Duration limit);

 private:
  Process process_;
  bool reaped_ = false;
};

// Everything a test needs; the worker is "w0" with two slots and has registered.
struct Cluster {
  explicit Cluster(std::vector<std::string> worker_flags = {}, const std::string& executor = DS_FAKE_EXECUTOR);
  ~Cluster();
  std::string folder;
  ScriptedCoordinator coordinator;
  std::unique_ptr<WorkerProcess> worker;

  void start_rank(const std::string& job, int64_t generation, int rank, int ranks, const std::string& orders,
                  int64_t metrics_step = 0, int64_t checkpoint_step = 0);
  void meet(const std::string& job, int64_t generation, int rank, int ranks, const std::string& address = "lonely");
  void stop_rank(const std::string& job, int64_t generation, int rank, bool checkpoint);
  // start, ready, meet, running; its pid
  pid_t run_rank(const std::string& job, int64_t generation, int rank, int ranks, const std::string& orders);
};

// Is there such a process, zombies left out?
bool alive(pid_t pid);
bool wait_gone(pid_t pid, absl::Duration limit);
// Polls a condition that nothing signals.
bool eventually(const std::function<bool()>& condition, absl::Duration limit);
std::string read_file(const std::string& path);

}  // namespace ds::worker::testing

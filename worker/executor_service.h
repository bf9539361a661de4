// The worker's end of the Unix socket that executors talk to: one stream each.
#pragma once
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ds/v1/executor.grpc.pb.h"

namespace ds::worker {

// Commands to one executor. Outlives its stream: sending then says false.
class CommandStream {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ExecutorCommand, v1::ExecutorMessage>;
  explicit CommandStream(Stream* stream) : stream_(stream) {}
  bool send(const v1::ExecutorCommand& command) ABSL_LOCKS_EXCLUDED(mutex_);
  void close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  Stream* stream_ ABSL_GUARDED_BY(mutex_);
};

// Who hears the executors. All calls may come from several threads.
class ExecutorEvents {
 public:
  virtual ~ExecutorEvents() = default;
  // The id under which the others speak of it, or why it is not welcome.
  virtual absl::StatusOr<uint64_t> hello(const v1::ExecutorHello& hello, std::shared_ptr<CommandStream> commands) = 0;
  virtual void beat(uint64_t id, const v1::ExecutorBeat& beat) = 0;
  virtual void metrics(uint64_t id, v1::ExecutorMetrics metrics) = 0;
  virtual void done(uint64_t id, const v1::ExecutorDone& done) = 0;
  virtual void closed(uint64_t id) = 0;  // its stream: nothing more will come
};

class ExecutorService final : public v1::ExecutorService::Service {
 public:
  explicit ExecutorService(ExecutorEvents& events) : events_(events) {}
  grpc::Status Session(grpc::ServerContext* context, CommandStream::Stream* stream) override;

 private:
  ExecutorEvents& events_;
};

// A server on the Unix socket `path`.
class ExecutorServer {
 public:
  static absl::StatusOr<std::unique_ptr<ExecutorServer>> start(const std::string& path, ExecutorEvents& events);
  ~ExecutorServer();

 private:
  explicit ExecutorServer(std::string path, ExecutorEvents& events) : path_(std::move(path)), service_(events) {}
  std::string path_;
  ExecutorService service_;
  std::unique_ptr<grpc::Server> server_;
};

// DATA/worker-PID.sock, or a name in the system's folder for temporary files when that is longer than a socket's may
// be.
std::string socket_path(const std::string& data);

}  // namespace ds::worker

// The executor's end of its stream to the worker. Its sender thread beats five times a second and hands on what the
// reporter holds; its reader hears the worker's commands, and ends the process when the worker is gone.
#pragma once
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ds/v1/executor.grpc.pb.h"
#include "worker/executor/fence.h"
#include "worker/executor/reporter.h"

namespace ds::worker {

class Session {
 public:
  Session(const std::string& socket, Reporter& reporter, const Fence& fence);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Opens the conversation and starts to beat.
  void hello(const v1::ExecutorHello& hello);
  // Blocks until all ranks are ready: their addresses in rank order, or nothing when a stop came first.
  std::optional<std::vector<std::string>> wait_for_peers() ABSL_LOCKS_EXCLUDED(mutex_);
  // From here on a stop is the training loop's to obey; before, there is nothing to save and it ends the process.
  void training() ABSL_LOCKS_EXCLUDED(mutex_);
  // Everything the reporter still holds, then the outcome; returns when the worker has read it all.
  void done(const v1::ExecutorDone& done) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void read();
  void command(const v1::ExecutorCommand& command) ABSL_LOCKS_EXCLUDED(mutex_);
  void send_all() ABSL_LOCKS_EXCLUDED(mutex_);
  void flush();

  Reporter& reporter_;
  const Fence& fence_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::ExecutorService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ExecutorMessage, v1::ExecutorCommand>> stream_;
  absl::Mutex mutex_;
  std::optional<std::vector<std::string>> peers_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool training_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;  // the stream may end now
  std::thread reader_, sender_;
};

}  // namespace ds::worker

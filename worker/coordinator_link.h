// The worker's stream to its coordinator: opened again and again, with a short back-off, for as long as the worker
// lives.
#pragma once
#include <atomic>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ds/v1/worker.pb.h"
#include "worker/outbox.h"

namespace ds::worker {

// Whom the link serves. received() comes from a thread of its own, the others from the link's.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  virtual void opened() = 0;  // a new stream; what was sent on the one before may be lost
  virtual void received(const v1::CoordinatorMessage& message) = 0;
  // Blocks until there is a message, a heartbeat is due, or ended() was called (then nullptr).
  virtual MessagePtr next_outgoing() = 0;
  virtual void ended() = 0;  // the stream broke. Any thread; again for the same stream does no harm
};

class CoordinatorLink {
 public:
  CoordinatorLink(std::string address, LinkEvents& events) : address_(std::move(address)), events_(events) {}
  ~CoordinatorLink() { stop(); }
  void start();
  // Ends the stream and waits for its threads.
  void stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void run();
  bool pause(absl::Duration d) ABSL_LOCKS_EXCLUDED(mutex_);  // false when stopping
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_);
  void set_reading(bool reading) ABSL_LOCKS_EXCLUDED(mutex_);
  void await_reader(absl::Duration d) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string address_;
  LinkEvents& events_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> served_{false};  // this stream has brought a message
  std::thread thread_;
};

}  // namespace ds::worker

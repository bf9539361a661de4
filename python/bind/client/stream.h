// A stream of the SDK, pulled: a thread of its own reads, and Python takes what has come, one text at a time.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "client/client.h"

namespace ds::py {

class Stream {
 public:
  // Given an item of the stream; says whether to go on.
  using Push = std::function<bool(std::string)>;
  using Read = std::function<absl::Status(client::Client&, const Push&)>;
  Stream(client::ClientOptions options, Read read);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The next item; nothing after the last, or the stream's error. Called without Python's lock, which `interrupted`
  // takes by itself several times a second to see signals: true ends the wait with Cancelled.
  absl::StatusOr<std::optional<std::string>> next(const std::function<bool()>& interrupted) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool push(std::string item) ABSL_LOCKS_EXCLUDED(mutex_);

  client::Client client_;
  absl::Mutex mutex_;
  std::deque<std::string> items_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace ds::py

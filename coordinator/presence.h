// Which worker is on which stream, and which has been silent for too long. Knows time only as it is told.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ds/v1/worker.pb.h"

namespace ds::coordinator {

inline constexpr absl::Duration kSilence = absl::Seconds(5);  // a stream without a word
inline constexpr absl::Duration kAway = absl::Seconds(2);     // a worker whose stream broke
inline constexpr absl::Duration kReturn = absl::Seconds(5);   // every worker, after the coordinator started

// One stream to a worker.
class Line {
 public:
  virtual ~Line() = default;
  virtual void deliver(v1::CoordinatorMessage message) = 0;
  virtual void fence(const std::string& reason) = 0;  // the last message, then the end
  virtual void cut() = 0;                             // at once
};

// Any thread.
class Presence {
 public:
  // A worker the log says is there: it has kReturn from `now` on to register.
  void expect(const std::string& worker, absl::Time now);
  // The worker speaks on `line` from now on; an older line is fenced.
  void attach(const std::string& worker, std::shared_ptr<Line> line, absl::Time now);
  // The line broke.
  void detach(const std::string& worker, const Line* line, absl::Time now);
  // A sign of life. False: a newer line has replaced this one.
  bool heard(const std::string& worker, const Line* line, absl::Time now);
  bool current(const std::string& worker, const Line* line);
  bool attached(const std::string& worker);
  // A worker that left for good; nothing if it is on a line.
  void forget(const std::string& worker);

  void send(const std::string& worker, v1::CoordinatorMessage message);
  absl::Time last_heard(const std::string& worker);

  struct Gone {
    std::string worker, reason;
  };
  // The workers that are lost now, each told once; their lines are cut. A sweep that comes late (this process or its
  // machine was stopped) shifts every deadline: the workers could not be heard meanwhile.
  std::vector<Gone> sweep(absl::Time now);

 private:
  struct Seat {
    std::shared_ptr<Line> line;  // null: away
    absl::Time heard;            // or left
    absl::Duration patience;
  };

  absl::Mutex mutex_;
  std::map<std::string, Seat> seats_ ABSL_GUARDED_BY(mutex_);
  absl::Time swept_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace ds::coordinator

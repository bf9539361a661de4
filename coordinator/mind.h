// The thread that owns the state: takes what came in meanwhile, applies it, makes it durable in one commit, and only
// then lets the world hear of it.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "coordinator/core/apply.h"
#include "coordinator/store/store.h"

namespace ds::coordinator {

// Where effects go; called on the state thread after the commit.
class World {
 public:
  virtual ~World() = default;
  virtual void send(const std::string& worker, v1::CoordinatorMessage message) = 0;
  virtual bool watched(const std::string& job) = 0;  // asks for changed() of changes that leave the state as it was
  virtual void changed(const v1::Job& job, v1::JobState before) = 0;
  virtual void measured(const Measure& measure) = 0;
  virtual void changed(const v1::StudyRecord& study, const NotifyStudy& how) = 0;
  virtual void asked(const Tune& question, const v1::StudyRecord& study) = 0;
  virtual void committed(int events, absl::Duration fsync) = 0;
};

class Mind {
 public:
  // Called on the state thread, after the commit; gets why the event was refused, or OK, and the state.
  using Reply = std::function<void(const absl::Status&, const State&)>;
  // Called on the state thread before the event is applied; false: there is nothing to apply, only to reply.
  using Wanted = std::function<bool(const State&)>;

  Mind(Store& store, State state, World& world);
  ~Mind();

  // All of these: any thread, at once, in order.
  void post(v1::Event event, Reply reply = {}, Wanted wanted = {});
  void ask(std::function<void(const State&)> question);
  // Kept back a little so that many share a commit; `stored` is called after it.
  void post_metrics(v1::MetricsBatch batch, std::function<void()> stored);

  // Ends the thread when all that was posted is done, and stores a snapshot.
  void stop();

 private:
  struct Command {
    v1::Event event;
    bool question = false;
    Reply reply;
    Wanted wanted;
  };
  struct Metrics {
    v1::MetricsBatch batch;
    std::function<void()> stored;
  };
  // What is delivered after the commit, in order.
  using Delivery = std::function<void()>;

  void run();
  struct Work {
    std::vector<Metrics> metrics;  // before the commands: a rank's last step is known before its end
    std::deque<Command> commands;
  };
  Work next_work();
  void handle(Command command);
  void apply_now(v1::Event event);
  void stage(Effect effect);
  void take_metrics(std::vector<Metrics> metrics);
  void tick();
  void commit();
  void push(Command command);
  bool has_work() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t now_us();

  Store& store_;
  World& world_;
  absl::Mutex mutex_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  std::vector<Metrics> metrics_ ABSL_GUARDED_BY(mutex_);
  absl::Time metrics_due_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The state thread's own.
  State state_;
  Batch batch_;
  std::vector<Delivery> deliveries_;
  int64_t last_us_ = 0;
  int64_t snapshot_revision_ = 0;
  std::thread thread_;
};

}  // namespace ds::coordinator

// The one thread that is parent to all executors: it spawns them, hears of their ends at once, and ticks. The kernel's
// death signal for children follows the thread that made them, so this thread lives as long as the process.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>

#include "worker/process.h"

namespace ds::worker {

class Supervisor {
 public:
  struct Callbacks {
    std::function<void(uint64_t id)> ended;  // the process watched under `id` has ended; call forget()
    std::function<int(double now, double late)>
        tick;  // returns milliseconds to the next tick; `late`: overslept seconds
  };
  Supervisor();

  // Runs until stop(); callbacks come on the calling thread.
  void run(const Callbacks& callbacks);
  void stop();
  // An early tick. Any thread.
  void wake();
  // On the supervisor's thread only.
  void watch(const Process& process, uint64_t id);
  void forget(const Process& process);

  static double now();  // monotonic seconds

 private:
  UniqueFd epoll_, event_;
  std::atomic<bool> stopping_{false};
};

}  // namespace ds::worker

// The kernel's out-of-memory killer: whom it takes first, and whether it was it.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

namespace ds::worker {

// Makes the process a likelier choice than its worker, whose end would be that of all its ranks. Any process may raise
// this of its own; where it cannot be written nothing changes.
void prefer_for_oom(pid_t pid);

// Takes this process off the killer's list, where the kernel permits it (CAP_SYS_RESOURCE): while a killed rank's
// memory is on its way back, the next to want some would be a reason to kill the worker. Children inherit it.
void spare_from_oom();

// Processes of our own control group that were killed for want of memory, so far (cgroup v2 or v1; where neither can be
// read, those of the whole machine). -1: unknown. `root` is "" but in tests.
int64_t oom_kills(const std::string& root = "");

// Of those, the ones of the last moments: a process that dies now may be one of them.
class OomWatch {
 public:
  explicit OomWatch(std::string root = "") : root_(std::move(root)), before_(oom_kills(root_)), last_(before_) {}
  // Often; `now` in seconds.
  void look(double now) {
    if (now < at_ + kMoment) return;
    at_ = now;
    before_ = std::exchange(last_, oom_kills(root_));
  }
  // Kills since one to two moments ago.
  int64_t recent() const { return oom_kills(root_) - before_; }

 private:
  static constexpr double kMoment = 5;
  std::string root_;
  double at_ = 0;
  int64_t before_, last_;
};

}  // namespace ds::worker

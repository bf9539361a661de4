// Tells a stopped or hung executor from a slow one, with limits learnt from its own steps. Pure: time is passed in.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "ds/v1/executor.pb.h"

namespace ds::worker {

class Watchdog {
 public:
  // Times are seconds on a monotonic clock. The watch starts with the process.
  explicit Watchdog(double now) : heard_(now), moved_(now) {}

  void beat(const v1::ExecutorBeat& beat, double now);
  // The observer itself slept for so long: what it did not hear in that time is no one's fault.
  void excuse(double seconds);

  // It waits for others as it should, such as for a peer whose files are being fetched: that it stands still is no
  // hang.
  void waits(double now) { moved_ = now; }

  // What is wrong, in words that follow "rank R (pid N) ", or nothing. `state` is the letter of /proc/PID/stat.
  std::optional<std::string> check(double now, char state) const;

  // Of one with which something is wrong: its beats come, but it stands still.
  bool hangs(double now) const;

  double silence(double now) const { return now - heard_; }
  const v1::ExecutorBeat& last() const { return last_; }

 private:
  double standstill_limit() const;

  double heard_;         // last beat
  double moved_;         // last beat whose ticks were new
  bool beaten_ = false;  // has it ever sent one
  v1::ExecutorBeat last_;
};

}  // namespace ds::worker

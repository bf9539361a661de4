// Weeks of training with failures and stragglers: how much of the time trains. Event by event, seeded.
#pragma once
#include <cstdint>

#include "absl/status/status.h"

namespace ds::plan {

struct GoodputInput {
  int ranks = 1024;
  double mean_time_to_failure = 0;  // seconds, of the whole job; exponential between failures
  double checkpoint_every = 600;    // seconds of training
  double checkpoint_stall = 5;      // seconds that a checkpoint stops training
  double detection = 60;            // seconds from a failure to its detection
  double restart = 300;             // seconds to replace the node, load the checkpoint and go on
  double straggler_share = 0.001;   // of ranks that are slow at a time
  double straggler_slowdown = 0.1;  // of a slow rank's step; a synchronous step waits for the slowest
  double straggler_hours = 4;       // mean time until a slow rank is noticed and replaced
  double days = 14;
  uint64_t seed = 1;
};

struct Goodput {
  double goodput = 0;  // share of the time that was training kept and at full speed
  double training_seconds = 0, lost_seconds = 0, detection_seconds = 0, restart_seconds = 0, checkpoint_seconds = 0,
         straggler_seconds = 0;
  int failures = 0;
  double best_interval = 0;  // seconds; sqrt(2 stall MTTF), Young 1974, J. Daly 2006
};

absl::Status check(const GoodputInput& input);
// On checked input. The same seed gives the same weeks.
Goodput simulate_goodput(const GoodputInput& input);

}  // namespace ds::plan

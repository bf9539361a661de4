#include "scheduler/plan/goodput.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace ds::plan {
namespace {

// SplitMix64: small, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  double uniform() {  // (0, 1]
    uint64_t x = (state_ += 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    return static_cast<double>((x >> 11) + 1) / 9007199254740992.0;
  }
  double exponential(double mean) { return -mean * std::log(uniform()); }

 private:
  uint64_t state_;
};

// Whether some rank is slow, as time goes by: off for a while, on for a while.
class Straggler {
 public:
  Straggler(const GoodputInput& in, Random* random) : random_(random), on_mean_(in.straggler_hours * 3600) {
    const double any = 1 - std::pow(1 - in.straggler_share, in.ranks);  // a share of the time
    off_mean_ = any > 0 ? on_mean_ * (1 - any) / any : 0;
    never_ = in.straggler_share <= 0 || in.straggler_slowdown <= 0;
    always_ = any >= 1;
    if (!never_ && !always_) left_ = random_->exponential(off_mean_);
  }
  // Of the next `seconds`, how many have a slow rank.
  double slow(double seconds) {
    if (never_) return 0;
    if (always_) return seconds;
    double sum = 0;
    while (seconds > 0) {
      const double part = std::min(seconds, left_);
      if (on_) sum += part;
      seconds -= part;
      left_ -= part;
      if (left_ <= 0) on_ = !on_, left_ = random_->exponential(on_ ? on_mean_ : off_mean_);
    }
    return sum;
  }

 private:
  Random* random_;
  double on_mean_, off_mean_ = 0, left_ = 0;
  bool on_ = false, never_ = false, always_ = false;
};

}  // namespace

absl::Status check(const GoodputInput& in) {
  const std::pair<const char*, bool> rules[] = {
      {"ranks must be >= 1", in.ranks >= 1},
      {"mttf must be > 0", in.mean_time_to_failure > 0},
      {"checkpoint-every must be > 0", in.checkpoint_every > 0},
      {"days must be > 0", in.days > 0},
      {"times must be >= 0", in.checkpoint_stall >= 0 && in.detection >= 0 && in.restart >= 0},
      {"straggler-hours must be > 0", in.straggler_hours > 0},
      {"straggler-share must be in [0, 1]", in.straggler_share >= 0 && in.straggler_share <= 1}};
  for (const auto& [text, holds] : rules) {
    if (!holds) return absl::InvalidArgumentError(absl::StrFormat("[goodput] %s", text));
  }
  return absl::OkStatus();
}

Goodput simulate_goodput(const GoodputInput& in) {
  Random failures(in.seed), slowness(in.seed ^ 0x5bd1e995);
  Straggler straggler(in, &slowness);
  Goodput out;
  const double end = in.days * 86400;
  double now = 0, kept = 0;
  double failure = failures.exponential(in.mean_time_to_failure);
  while (now < end) {
    const double interval = in.checkpoint_every + in.checkpoint_stall;
    if (now + interval <= failure) {  // a checkpoint is reached
      now += interval;
      kept += in.checkpoint_every;
      out.checkpoint_seconds += in.checkpoint_stall;
      out.straggler_seconds +=
          straggler.slow(in.checkpoint_every) * in.straggler_slowdown / (1 + in.straggler_slowdown);
      continue;
    }
    // Work since the checkpoint is lost; failures during the restart are the next round's.
    out.lost_seconds += failure - now;
    out.detection_seconds += in.detection;
    out.restart_seconds += in.restart;
    ++out.failures;
    now = failure + in.detection + in.restart;
    failure = now + failures.exponential(in.mean_time_to_failure);
  }
  out.training_seconds = kept - out.straggler_seconds;
  out.goodput = out.training_seconds / now;
  out.best_interval = std::sqrt(2 * in.checkpoint_stall * in.mean_time_to_failure);
  return out;
}

}  // namespace ds::plan

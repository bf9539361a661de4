#include "worker/watchdog.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "worker/process.h"

namespace ds::worker {
namespace {

// A stopped process is certain after kStopped. Without a beat but runnable, the machine may be starved: wait longer.
constexpr double kStopped = 3, kSilent = 10, kNoHello = 30;
constexpr double kStandstill = 15, kTypicalSteps = 20;
// Reading a dataset or writing to a slow disk says little while it lasts; waiting for peers is their fault first.
constexpr double kSlowPhase = 120, kCollective = 300;

const char* words(v1::ExecutorPhase phase) {
  switch (phase) {
    case v1::EXECUTOR_COMPUTING:
      return "computing";
    case v1::EXECUTOR_COLLECTIVE:
      return "waiting for its peers in a collective";
    case v1::EXECUTOR_EVALUATING:
      return "evaluating";
    case v1::EXECUTOR_CHECKPOINTING:
      return "writing a checkpoint";
    default:
      return "starting";
  }
}

double typical_step(const v1::ExecutorBeat& beat) { return beat.steps() > 0 ? beat.step_seconds() / beat.steps() : 0; }

}  // namespace

void Watchdog::beat(const v1::ExecutorBeat& beat, double now) {
  heard_ = now;
  if (!beaten_ || beat.ticks() != last_.ticks() || beat.step() != last_.step() || beat.phase() != last_.phase()) {
    moved_ = now;
  }
  beaten_ = true;
  last_ = beat;
}

void Watchdog::excuse(double seconds) {
  heard_ += seconds;
  moved_ += seconds;
}

double Watchdog::standstill_limit() const {
  double limit = std::max(kStandstill, kTypicalSteps * typical_step(last_));
  switch (last_.phase()) {
    case v1::EXECUTOR_COMPUTING:
    case v1::EXECUTOR_EVALUATING:
      return limit;
    case v1::EXECUTOR_COLLECTIVE:
      return std::max(kCollective, limit);
    default:
      return std::max(kSlowPhase, limit);
  }
}

bool Watchdog::hangs(double now) const { return beaten_ && silence(now) < kStopped; }

std::optional<std::string> Watchdog::check(double now, char state) const {
  double silent = silence(now);
  if ((state == 'T' && silent >= kStopped) || (beaten_ && silent >= kSilent)) {
    return absl::StrFormat("sent no heartbeat for %.1f s; state %s", silent, describe_state(state));
  }
  if (!beaten_) {
    if (silent < kNoHello) return std::nullopt;
    return absl::StrFormat("did not greet its worker within %.0f s; state %s", silent, describe_state(state));
  }
  double still = now - moved_;
  if (still < standstill_limit()) return std::nullopt;
  return absl::StrFormat("has not moved for %.1f s: step %d, %s; a typical step takes %.3f s", still, last_.step(),
                         words(last_.phase()), typical_step(last_));
}

}  // namespace ds::worker

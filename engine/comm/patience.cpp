#include "engine/comm/patience.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>

#include "engine/comm/futex.h"

namespace ds::comm {
namespace {

constexpr int kFewestSpins = 64, kMostSpins = 2048;  // some 2 to 50 us
constexpr int kYields = 200;
constexpr std::chrono::microseconds kNap{2000};
constexpr std::chrono::milliseconds kLookAtPeers{5};

}  // namespace

Patience::Patience(Group& group)
    : group_(group),
      spins_(group.transport().crowded() ? 0 : std::clamp(group.spins(), kFewestSpins, kMostSpins)),
      yields_(spins_ + kYields),
      looked_(std::chrono::steady_clock::now()) {}

Patience::~Patience() {
  group_.set_idle(false);
  // Spinning that is in vain takes the core from whoever is waited for: spin less the next time, more when it was good.
  group_.set_spins(polls_ > spins_ ? spins_ / 2 : spins_ * 2);
  if (group_.shares_memory()) group_.memory().own().sleeping.store(0, std::memory_order_relaxed);
}

bool Patience::pause() {
  ++polls_;
  if (polls_ <= spins_) {
    _mm_pause();
    return false;
  }
  group_.set_idle(true);
  if (polls_ <= yields_) {
    sched_yield();
    return false;
  }
  sleep();
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < kLookAtPeers) return false;
  looked_ = now;
  return true;
}

void Patience::sleep() {
  group_.transport().progress();
  if (!group_.shares_memory()) return group_.transport().sleep(kNap);
  // Between announcing the sleep and sleeping there is one more poll, so that no ring is missed.
  ControlBlock& own = group_.memory().own();
  if (own.sleeping.load(std::memory_order_relaxed) == 0) {
    own.sleeping.store(1, std::memory_order_seq_cst);
    seen_ = own.doorbell.load();
    return;
  }
  futex_wait(own.doorbell, seen_, kNap);
  own.sleeping.store(0, std::memory_order_relaxed);
}

}  // namespace ds::comm

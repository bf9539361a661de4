#include "engine/comm/collectives.h"

#include <algorithm>
#include <cstring>

#include "engine/comm/futex.h"
#include "engine/comm/patience.h"
#include "engine/comm/point_to_point.h"

namespace ds::comm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kTestsBetweenLooks = 1024;   // a caller that only ever tests hears of a dead peer too
constexpr uint32_t kPollsBetweenProgress = 64;  // while only flags in shared memory are awaited

class Stopwatch {  // adds the time of a scope
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(Clock::now()) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  double& seconds_;
  Clock::time_point begin_;
};

}  // namespace

Operation::~Operation() {
  if (complete_) return;
  try {
    owner_.wait(*this);
  } catch (const CommError&) {
    // the owner's next call throws it too
  }
  owner_.forget(*this);
}

bool Operation::test() {
  if (complete_) return true;
  double ignored = 0;
  Stopwatch watch(counted_ ? owner_.stats_.all_reduce_seconds : ignored);
  owner_.check();
  const int missing = owner_.poll(this);
  if (!complete_ && ++tests_ % kTestsBetweenLooks == 0) owner_.check_peer_state(missing, *this);
  return complete_;
}

void Operation::wait() {
  if (complete_) return;
  double ignored = 0;
  Stopwatch watch(counted_ ? owner_.stats_.all_reduce_seconds : ignored);
  owner_.wait(*this);
}

Collectives::Collectives(std::unique_ptr<Transport> transport)
    : group_(std::move(transport)), name_(group_.transport().name()) {}

Collectives::~Collectives() {
  if (failed_ || aborted_.load()) group_.transport().shut();
}

std::unique_ptr<Operation> Collectives::start(Call call, const Options& options) {
  check();
  const Algorithm& algorithm = choose(group_, call, options);
  call.sequence = ++sequence_;
  const bool counted = call.collective == Collective::all_reduce || call.collective == Collective::reduce_scatter ||
                       call.collective == Collective::all_gather;
  auto operation = std::make_unique<Operation>(*this, algorithm.run(group_, call), group_.memory().sequence(), counted);
  collectives_.push_back(operation.get());
  return operation;
}

std::unique_ptr<Work> Collectives::start_counted(const Call& call, size_t bytes, const Options& options) {
  stats_.all_reduce_bytes += bytes;
  Stopwatch watch(stats_.all_reduce_seconds);
  return start(call, options);
}

std::unique_ptr<Work> Collectives::all_reduce_async(void* data, size_t count, DType type, ReduceOp op,
                                                    const Options& options) {
  stats_.all_reduce_calls += 1;
  const Call call{
      .collective = Collective::all_reduce, .type = type, .op = op, .out = data, .in = data, .count = count};
  return start_counted(call, count * size_of(type), options);
}

std::unique_ptr<Work> Collectives::reduce_scatter_async(void* out, const void* in, size_t count, DType type,
                                                        ReduceOp op, const Options& options) {
  stats_.all_reduce_calls += 1;
  const Call call{
      .collective = Collective::reduce_scatter, .type = type, .op = op, .out = out, .in = in, .count = count};
  return start_counted(call, count * size() * size_of(type) / 2, options);
}

std::unique_ptr<Work> Collectives::all_gather_async(void* out, const void* in, size_t count, DType type,
                                                    const Options& options) {
  const Call call{.collective = Collective::all_gather, .type = type, .out = out, .in = in, .count = count};
  return start_counted(call, count * size() * size_of(type) / 2, options);
}

void Collectives::broadcast(void* data, size_t count, DType type, int root, const Options& options) {
  if (root < 0 || root >= size()) {
    throw CommError("[broadcast] root is rank " + std::to_string(root) + " of " + std::to_string(size()));
  }
  run({.collective = Collective::broadcast, .type = type, .out = data, .in = data, .count = count, .root = root},
      options);
}

void Collectives::barrier() { run({.collective = Collective::barrier}, {}); }

void Collectives::check_peer(const char* what, int peer) const {
  if (peer >= 0 && peer < size()) return;
  throw CommError(std::string("[") + what + "] peer is rank " + std::to_string(peer) + " of " + std::to_string(size()));
}

std::unique_ptr<Work> Collectives::send_async(const void* data, size_t bytes, int peer, uint32_t tag) {
  check_peer("send", peer);
  check();
  return message(send_message(group_, data, bytes, peer, tag));
}

std::unique_ptr<Work> Collectives::receive_async(void* data, size_t bytes, int peer, uint32_t tag) {
  check_peer("receive", peer);
  check();
  return message(receive_message(group_, data, bytes, peer, tag));
}

std::unique_ptr<Operation> Collectives::message(Task task) {
  auto operation = std::make_unique<Operation>(*this, std::move(task), 0, false);
  messages_.push_back(operation.get());
  return operation;
}

void Collectives::progress() {
  if (collectives_.empty() && messages_.empty()) return;
  check();
  Stopwatch watch(stats_.all_reduce_seconds);
  poll();
}

int Collectives::poll(const Operation* of) {
  if (group_.transport().busy() || ++polls_ % kPollsBetweenProgress == 0) group_.transport().progress();
  int waiting = kReady, waiting_of = kReady;
  try {
    for (Operation* o : collectives_) {
      const int rank = o->through_ ? kReady : o->task_.poll();
      o->through_ = rank == kReady;
      if (waiting == kReady) waiting = rank;
      if (o == of) waiting_of = rank;
    }
    for (auto it = messages_.begin(); it != messages_.end();) {
      const int rank = (*it)->task_.poll();
      if (*it == of) waiting_of = rank;
      (*it)->complete_ = rank == kReady;
      it = rank == kReady ? messages_.erase(it) : std::next(it);
    }
  } catch (const std::exception& e) {
    fail(e.what());
  }
  while (!collectives_.empty() && collectives_.front()->through_) {
    Operation& o = *collectives_.front();
    o.complete_ = true;
    collectives_.pop_front();
    if (group_.shares_memory()) group_.memory().retire(o.shared_sequence_);
  }
  return waiting_of == kReady ? waiting : waiting_of;
}

void Collectives::wait(Operation& operation) {
  Patience patience(group_);
  while (true) {
    check();
    const int missing = poll(&operation);
    if (operation.complete_) break;
    if (patience.pause()) check_peer_state(missing, operation);
  }
}

void Collectives::check_peer_state(int peer, const Operation& waiting) {
  for (int r = 0; r < size(); ++r) {
    if (r == rank()) continue;
    std::string why;
    const PeerState state = group_.transport().state(r, why);
    if (state == PeerState::lost) fail("rank " + std::to_string(r) + " is lost: " + why);
    if (state != PeerState::left || r != peer) continue;
    // Everything it did before it left is visible by now.
    const int still = poll(&waiting);
    if (waiting.complete_ || still != r) return;
    fail("rank " + std::to_string(r) + " has left the group, and rank " + std::to_string(rank()) + " waits for it");
  }
}

void Collectives::forget(Operation& operation) {
  std::erase(collectives_, &operation);
  messages_.remove(&operation);
}

void Collectives::check() {
  if (aborted_.load(std::memory_order_acquire)) {
    std::string why;
    {
      std::lock_guard lock(mutex_);
      why = why_;
    }
    if (!failed_) {
      failed_ = true;
      group_.transport().shut();
    }
    throw CommError(why);
  }
  if (!group_.shares_memory()) return;
  if (const uint32_t by = group_.memory().own().aborted.load(std::memory_order_acquire)) {
    const int r = static_cast<int>(by) - 1;
    const auto& why = group_.memory().block(r).why;
    fail("rank " + std::to_string(r) +
         " aborted the group: " + std::string(why.data(), strnlen(why.data(), why.size())));
  }
}

void Collectives::fail(const std::string& why) {
  abort(why);
  check();
  throw CommError(why);
}

void Collectives::abort(const std::string& why) {
  std::lock_guard lock(mutex_);
  if (aborted_.load()) return;
  why_ = why;
  aborted_.store(true, std::memory_order_release);
  if (!group_.shares_memory()) return;
  SharedMemory& memory = group_.memory();
  auto& mine = memory.own().why;
  std::memcpy(mine.data(), why.data(), std::min(why.size(), mine.size() - 1));
  for (int r = 0; r < size(); ++r) {
    uint32_t nobody = 0;
    memory.block(r).aborted.compare_exchange_strong(nobody, static_cast<uint32_t>(rank()) + 1);
    memory.block(r).doorbell.fetch_add(1);
  }
  for (int r = 0; r < size(); ++r) futex_wake(memory.block(r).doorbell);
}

}  // namespace ds::comm

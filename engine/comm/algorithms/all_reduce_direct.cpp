// The floor of memory traffic, 2 N S: every rank reduces its share of everybody's buffer in place and stores the result
// into all of them. Shares are cut into blocks, and a rank that has nothing left to do takes blocks of those that are
// late; who computes a block does not change its bits.
#include <algorithm>
#include <array>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

constexpr size_t kSmallestBlock = 32 * 1024, kLargestBlock = 512 * 1024;  // bytes of one buffer
constexpr int kMostRanks = 64;

class Blocks {
 public:
  Blocks(const Call& call, int size) : call_(call), size_(size), element_(size_of(call.type)) {
    const size_t share = part(call.count, element_, 0, size).count() * element_;
    const size_t bytes =
        std::clamp((share / 8 + kCacheLine - 1) / kCacheLine * kCacheLine, kSmallestBlock, kLargestBlock);
    elements_ = std::max<size_t>(1, bytes / element_);
    for (int r = 0; r < size; ++r) total_ += of(r);
  }
  uint32_t of(int rank) const {
    return static_cast<uint32_t>((part(call_.count, element_, rank, size_).count() + elements_ - 1) / elements_);
  }
  uint32_t total() const { return total_; }
  void reduce(std::span<std::byte* const> buffers, int rank, uint32_t block) const {
    const Part share = part(call_.count, element_, rank, size_);
    const size_t begin = share.begin + block * elements_, count = std::min(elements_, share.end - begin);
    std::array<void*, kMostRanks> at;
    for (int r = 0; r < size_; ++r) at[r] = buffers[r] + begin * element_;
    const std::span<void* const> all(at.data(), size_);
    reduce_tree(call_.type, call_.op, all, {const_cast<const void* const*>(at.data()), all.size()}, count);
  }

 private:
  const Call& call_;
  int size_;
  size_t element_, elements_;
  uint32_t total_ = 0;
};

// Where everybody's data lies. Looked up when a block is held: until that is finished nobody lets go of a buffer. A
// rank that comes when all is done must not look.
class Buffers {
 public:
  Buffers(SharedCall& shared, int size) : shared_(shared), size_(size) {}
  std::span<std::byte* const> get() {
    for (; known_ < size_; ++known_) at_[known_] = shared_.at(known_);
    return {at_.data(), static_cast<size_t>(size_)};
  }

 private:
  SharedCall& shared_;
  int size_, known_ = 0;
  std::array<std::byte*, kMostRanks> at_;
};

// Does what is left of a rank's share; whether there was anything.
bool work(SharedCall& shared, const Blocks& blocks, Buffers& buffers, int rank) {
  bool any = false;
  uint32_t block;
  for (const uint32_t count = blocks.of(rank); shared.claim(rank, block, count); any = true) {
    blocks.reduce(buffers.get(), rank, block);
    shared.finish(1);
  }
  return any;
}

Task run(Group& group, Call call) {
  SharedCall shared(group.memory(), call, "direct");
  co_await until([&] { return shared.slot_busy(); });
  shared.post(call.in, call.bytes());
  co_await until([&] { return shared.unposted(); });

  const int size = group.size();
  const Blocks blocks(call, size);
  Buffers buffers(shared, size);
  work(shared, blocks, buffers, group.rank());
  shared.publish();
  co_await until([&] {
    for (int r = 1; group.idle() && r < size; ++r) {
      if (work(shared, blocks, buffers, (group.rank() + r) % size)) shared.publish();
    }
    return shared.unfinished(blocks.total());
  });
  if (shared.staged()) copy_bytes(call.out, shared.at(group.rank()), call.bytes());
}

const char* refusal(const Group& group, const Call&) {
  if (group.size() > kMostRanks) return "it serves at most 64 ranks";
  return group.shares_memory() ? nullptr : "the ranks do not share memory";
}

double seconds(const Group& group, size_t bytes) {
  return 2.5 * group.model().flag + 2.0 * static_cast<double>(bytes) * group.model().memory_byte;
}

const Register registered({Collective::all_reduce, "direct",
                           "every rank reduces its share of everybody's buffer in place", true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

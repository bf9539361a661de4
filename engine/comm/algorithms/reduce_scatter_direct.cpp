// Over shared memory every rank reads its chunk out of everybody's input: (N+1) S bytes of traffic in all.
#include <array>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

constexpr int kMostRanks = 64;

Task run(Group& group, Call call) {
  const int size = group.size();
  SharedCall shared(group.memory(), call, "direct");
  co_await until([&] { return shared.slot_busy(); });
  shared.post(call.in, call.bytes() * size);
  co_await until([&] { return shared.unposted(); });

  std::array<const void*, kMostRanks> in;
  for (int r = 0; r < size; ++r) in[r] = shared.at(r) + call.bytes() * group.rank();
  // In place, out is part of this rank's input; peers read other parts of it.
  void* const out[] = {call.out};
  reduce_tree(call.type, call.op, out, {in.data(), static_cast<size_t>(size)}, call.count);
  shared.finish(1);
  shared.publish();
  co_await until([&] { return shared.unfinished_ranks(); });
}

const char* refusal(const Group& group, const Call&) {
  if (group.size() > kMostRanks) return "it serves at most 64 ranks";
  return group.shares_memory() ? nullptr : "the ranks do not share memory";
}

double seconds(const Group& group, size_t bytes) {
  return 2 * group.model().flag + static_cast<double>(bytes) * (group.size() + 1) * group.model().memory_byte;
}

const Register registered({Collective::reduce_scatter, "direct", "every rank reads its chunk out of everybody's memory",
                           true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

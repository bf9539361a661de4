// One agreement instead of two: everybody shows a copy of its data, and reduces all of it itself.
#include <array>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

constexpr int kMostRanks = 64;

Task run(Group& group, Call call) {
  SharedCall shared(group.memory(), call, "flat");
  co_await until([&] { return shared.slot_busy(); });
  shared.post_inline(call.in, call.bytes());
  co_await until([&] { return shared.unposted(); });

  std::array<const void*, kMostRanks> in;
  for (int r = 0; r < group.size(); ++r) in[r] = shared.at(r);
  void* const out[] = {call.out};
  reduce_tree(call.type, call.op, out, {in.data(), static_cast<size_t>(group.size())}, call.count);
}

const char* refusal(const Group& group, const Call& call) {
  if (group.size() > kMostRanks) return "it serves at most 64 ranks";
  if (call.bytes() > kInline) return "the data does not fit a slot of 16 KiB";
  return group.shares_memory() ? nullptr : "the ranks do not share memory";
}

double seconds(const Group& group, size_t bytes) {
  // A copy in, then N reads of lines that lie in other cores' caches.
  return group.model().flag + static_cast<double>(bytes) * (group.size() + 1) * group.model().memory_byte;
}

const Register registered({Collective::all_reduce, "flat", "everybody reduces everything itself; small data", true,
                           refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

// Over shared memory every rank copies the others' chunks out of their memory.

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const size_t bytes = call.bytes();
  std::byte* const out = static_cast<std::byte*>(call.out);
  SharedCall shared(group.memory(), call, "direct");
  co_await until([&] { return shared.slot_busy(); });
  const bool small = bytes <= kInline;  // a copy in the slot needs no second agreement
  small ? shared.post_inline(call.in, bytes) : shared.post(call.in, bytes);
  copy_bytes(out + bytes * rank, call.in, bytes);
  co_await until([&] { return shared.unposted(); });
  for (int step = 1; step < size; ++step) {
    const int from = (rank + step) % size;
    copy_bytes(out + bytes * from, shared.at(from), bytes);
  }
  if (small) co_return;
  shared.finish(1);
  shared.publish();
  co_await until([&] { return shared.unfinished_ranks(); });
}

const char* refusal(const Group& group, const Call&) {
  return group.shares_memory() ? nullptr : "the ranks do not share memory";
}

double seconds(const Group& group, size_t bytes) {
  return 2 * group.model().flag + 2.0 * static_cast<double>(bytes) * group.size() * group.model().memory_byte;
}

const Register registered({Collective::all_gather, "direct", "every rank copies the others' chunks out of their memory",
                           true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

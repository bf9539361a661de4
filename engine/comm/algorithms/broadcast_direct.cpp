// Over shared memory the root shows its data and everybody copies it.

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const bool root = group.rank() == call.root;
  const bool small = call.bytes() <= kInline;
  SharedCall shared(group.memory(), call, "direct");
  co_await until([&] { return shared.slot_busy(); });
  if (!root) {
    shared.post_inline(nullptr, 0);
  } else {
    small ? shared.post_inline(call.in, call.bytes()) : shared.post(call.in, call.bytes());
  }
  co_await until([&] { return shared.unposted(); });
  if (!root) copy_bytes(call.out, shared.at(call.root), call.bytes());
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

const Register registered({Collective::broadcast, "direct", "everybody copies out of the root's memory", true, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

// Over shared memory: everybody posts, everybody looks.
#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  SharedCall shared(group.memory(), call, "flags");
  co_await until([&] { return shared.slot_busy(); });
  shared.post_inline(nullptr, 0);
  co_await until([&] { return shared.unposted(); });
}

const char* refusal(const Group& group, const Call&) {
  return group.shares_memory() ? nullptr : "the ranks do not share memory";
}

double seconds(const Group& group, size_t) { return group.model().flag; }

const Register registered({Collective::barrier, "flags", "everybody posts, everybody looks", true, refusal, seconds,
                           run});

}  // namespace
}  // namespace ds::comm

// Up the fixed tree to rank 0 and down again: 2 log2 N messages of everything, for any number of ranks.
#include <bit>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const auto theirs = scratch(call.bytes());
  Messages messages(group, call);

  int distance = 1;
  for (; distance < size && rank % (2 * distance) == 0; distance *= 2) {
    if (rank + distance >= size) continue;
    Request received = messages.receive(rank + distance, theirs.get(), call.bytes());
    co_await until([&] { return received.pending(); });
    void* const out[] = {call.out};
    const void* const terms[] = {call.out, theirs.get()};
    reduce_tree(call.type, call.op, out, terms, call.count);
  }
  if (rank != 0) {  // distance is now this rank's lowest set bit
    Request sent = messages.send(rank - distance, call.out, call.bytes());
    Request received = messages.receive(rank - distance, theirs.get(), call.bytes());
    co_await until([&] { return sent.pending(); });
    co_await until([&] { return received.pending(); });
    copy_bytes(call.out, theirs.get(), call.bytes());
  }
  for (distance /= 2; distance > 0; distance /= 2) {
    if (rank + distance >= size) continue;
    Request sent = messages.send(rank + distance, call.out, call.bytes());
    co_await until([&] { return sent.pending(); });
  }
}

const char* refusal(const Group& group, const Call& call) {
  return group.size() > 2 && !partial_sums_are_exact(call.type, call.op) ? "it would round partial sums to bf16"
                                                                         : nullptr;
}

double seconds(const Group& group, size_t bytes) {
  const double rounds = std::bit_width(static_cast<unsigned>(group.size() - 1));
  return 2 * rounds * (group.model().message + static_cast<double>(bytes) * group.model().message_byte);
}

const Register registered({Collective::all_reduce, "tree", "up the tree to rank 0 and down again; any number of ranks",
                           true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

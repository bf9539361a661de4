// log2 N exchanges of everything, each with a partner twice as far: least latency for small messages. With adjacent
// partners first, the partial sums are the nodes of the fixed tree.
#include <bit>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int rank = group.rank();
  const auto theirs = scratch(call.bytes());
  Messages messages(group, call);
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int partner = rank ^ distance;
    Request requests[] = {messages.receive(partner, theirs.get(), call.bytes()),
                          messages.send(partner, call.out, call.bytes())};
    co_await until([&] { return pending(requests); });
    void* const out[] = {call.out};
    const void* terms[] = {call.out, theirs.get()};
    if (partner < rank) std::swap(terms[0], terms[1]);
    reduce_tree(call.type, call.op, out, terms, call.count);
  }
}

const char* refusal(const Group& group, const Call& call) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return "the number of ranks is not a power of two";
  if (group.size() > 2 && !partial_sums_are_exact(call.type, call.op)) return "it would round partial sums to bf16";
  return nullptr;
}

double seconds(const Group& group, size_t bytes) {
  const double rounds = std::bit_width(static_cast<unsigned>(group.size())) - 1;
  return rounds * (group.model().message + static_cast<double>(bytes) * group.model().message_byte);
}

const Register registered({Collective::all_reduce, "recursive_doubling", "log2 N exchanges of everything", true,
                           refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

// One round of messages: everybody sends every rank its chunk; the owner sums in the fixed tree.
#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const std::byte* const data = static_cast<const std::byte*>(call.in);
  const size_t bytes = call.bytes();
  const auto contributions = scratch(bytes * size);
  Messages messages(group, call);
  std::vector<Request> requests;
  std::vector<const void*> in(size, data + bytes * rank);
  for (int step = 1; step < size; ++step) {
    const int from = (rank + size - step) % size;
    in[from] = contributions.get() + bytes * from;
    requests.push_back(messages.receive(from, contributions.get() + bytes * from, bytes));
  }
  for (int step = 1; step < size; ++step) {
    const int to = (rank + step) % size;
    requests.push_back(messages.send(to, data + bytes * to, bytes));
  }
  co_await until([&] { return pending(requests); });
  void* const out[] = {call.out};
  reduce_tree(call.type, call.op, out, in, call.count);
}

const char* refusal(const Group& group, const Call&) {
  return group.size() > 64 ? "it serves at most 64 ranks" : nullptr;
}

double seconds(const Group& group, size_t bytes) {
  const double n = group.size();
  return (1 + 0.2 * (n - 1)) * group.model().message +
         (n - 1) * static_cast<double>(bytes) * group.model().message_byte;
}

const Register registered({Collective::reduce_scatter, "exchange", "chunks go straight to their owners", true, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

// Around the ring twice: partial sums, then results. Each link carries 2 (N-1)/N of the data, whatever N is; the order
// of a sum depends on the share, so it is not the fixed tree's.
#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const size_t element = size_of(call.type);
  const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  std::byte* const data = static_cast<std::byte*>(call.out);
  const auto incoming = scratch(part(call.count, element, 0, size).count() * element);
  Messages messages(group, call);

  for (int step = 0; step < 2 * (size - 1); ++step) {
    const bool summing = step < size - 1;
    const Part out = part(call.count, element, (rank + 2 * size - step) % size, size);
    const Part in = part(call.count, element, (rank + 2 * size - step - 1) % size, size);
    std::byte* const at = data + in.begin * element;
    Request requests[] = {messages.receive(previous, summing ? incoming.get() : at, in.count() * element),
                          messages.send(next, data + out.begin * element, out.count() * element)};
    co_await until([&] { return pending(requests); });
    if (!summing) continue;
    void* const target[] = {at};
    const void* const terms[] = {incoming.get(), at};
    reduce_tree(call.type, call.op, target, terms, in.count());
  }
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t bytes) {
  const double n = group.size();
  return 2 * (n - 1) * (group.model().message + static_cast<double>(bytes) / n * group.model().message_byte);
}

const Register registered({Collective::all_reduce, "ring", "partial sums around the ring, then results", false, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

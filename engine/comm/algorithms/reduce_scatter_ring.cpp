// Partial sums travel the ring and end at the owner of their chunk. The order of a sum depends on the chunk.
#include <utility>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  const std::byte* const data = static_cast<const std::byte*>(call.in);
  const size_t bytes = call.bytes();
  auto outgoing = scratch(bytes), incoming = scratch(bytes);
  Messages messages(group, call);
  if (size > 1) copy_bytes(outgoing.get(), data + bytes * previous, bytes);
  for (int step = 1; step < size; ++step) {
    Request requests[] = {messages.receive(previous, incoming.get(), bytes),
                          messages.send(next, outgoing.get(), bytes)};
    co_await until([&] { return pending(requests); });
    const int chunk = (rank + 2 * size - step - 1) % size;
    void* const target[] = {chunk == rank ? call.out : incoming.get()};
    const void* const terms[] = {incoming.get(), data + bytes * chunk};
    reduce_tree(call.type, call.op, target, terms, call.count);
    std::swap(outgoing, incoming);
  }
  if (size == 1) copy_bytes(call.out, call.in, bytes);
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t bytes) {
  return (group.size() - 1) * (group.model().message + static_cast<double>(bytes) * group.model().message_byte);
}

const Register registered({Collective::reduce_scatter, "ring", "partial sums around the ring to their owners", false,
                           refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

// Every chunk travels the ring.

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  const size_t bytes = call.bytes();
  std::byte* const out = static_cast<std::byte*>(call.out);
  Messages messages(group, call);
  copy_bytes(out + bytes * rank, call.in, bytes);
  for (int step = 0; step < size - 1; ++step) {
    const int have = (rank + size - step) % size, get = (have + size - 1) % size;
    Request requests[] = {messages.receive(previous, out + bytes * get, bytes),
                          messages.send(next, out + bytes * have, bytes)};
    co_await until([&] { return pending(requests); });
  }
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t bytes) {
  return (group.size() - 1) * (group.model().message + static_cast<double>(bytes) * group.model().message_byte);
}

const Register registered({Collective::all_gather, "ring", "every chunk travels the ring", true, refusal, seconds,
                           run});

}  // namespace
}  // namespace ds::comm

// One round of messages: everybody sends its chunk to everybody.

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const size_t bytes = call.bytes();
  std::byte* const out = static_cast<std::byte*>(call.out);
  Messages messages(group, call);
  copy_bytes(out + bytes * rank, call.in, bytes);
  std::vector<Request> requests;
  for (int step = 1; step < size; ++step) {
    const int from = (rank + size - step) % size;
    requests.push_back(messages.receive(from, out + bytes * from, bytes));
  }
  for (int step = 1; step < size; ++step) {
    requests.push_back(messages.send((rank + step) % size, out + bytes * rank, bytes));
  }
  co_await until([&] { return pending(requests); });
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t bytes) {
  const double n = group.size();
  return (1 + 0.2 * (n - 1)) * group.model().message +
         (n - 1) * static_cast<double>(bytes) * group.model().message_byte;
}

const Register registered({Collective::all_gather, "exchange", "everybody sends its chunk to everybody", true, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

// log2 N rounds of empty messages, each to a rank twice as far.
#include <bit>

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  Messages messages(group, call);
  for (int distance = 1; distance < size; distance *= 2) {
    Request requests[] = {messages.receive((rank + size - distance) % size, nullptr, 0),
                          messages.send((rank + distance) % size, nullptr, 0)};
    co_await until([&] { return pending(requests); });
  }
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t) {
  return std::bit_width(static_cast<unsigned>(group.size() - 1)) * group.model().message;
}

const Register registered({Collective::barrier, "dissemination", "log2 N rounds of empty messages", true, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

// Down a binomial tree: log2 N rounds of messages.
#include <bit>

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size();
  const int place = (group.rank() + size - call.root) % size;  // the root's is 0
  auto rank_of = [&](int p) { return (p + call.root) % size; };
  Messages messages(group, call);
  int distance = 1;
  while (distance < size && place % (2 * distance) == 0) distance *= 2;
  if (place != 0) {
    Request received = messages.receive(rank_of(place - distance), call.out, call.bytes());
    co_await until([&] { return received.pending(); });
  }
  std::vector<Request> requests;
  for (distance /= 2; distance > 0; distance /= 2) {
    if (place + distance < size) requests.push_back(messages.send(rank_of(place + distance), call.out, call.bytes()));
  }
  co_await until([&] { return pending(requests); });
}

const char* refusal(const Group&, const Call&) { return nullptr; }

double seconds(const Group& group, size_t bytes) {
  const double rounds = std::bit_width(static_cast<unsigned>(group.size() - 1));
  return rounds * (group.model().message + static_cast<double>(bytes) * group.model().message_byte);
}

const Register registered({Collective::broadcast, "tree", "down a binomial tree", true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

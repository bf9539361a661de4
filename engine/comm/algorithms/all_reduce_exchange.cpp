// Two rounds of messages: everybody sends every rank its share and gets all contributions to its own, sums them in the
// fixed tree, and sends the sum to all.
#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int size = group.size(), rank = group.rank();
  const size_t element = size_of(call.type);
  std::byte* const data = static_cast<std::byte*>(call.out);
  auto share = [&](int r) { return part(call.count, element, r, size); };
  const Part mine = share(rank);
  const size_t bytes = mine.count() * element;
  Messages messages(group, call);

  const auto contributions = scratch(bytes * size);
  std::vector<Request> requests;
  std::vector<const void*> in(size, data + mine.begin * element);
  for (int step = 1; step < size; ++step) {
    const int from = (rank + size - step) % size;
    in[from] = contributions.get() + bytes * from;
    requests.push_back(messages.receive(from, contributions.get() + bytes * from, bytes));
  }
  for (int step = 1; step < size; ++step) {
    const Part theirs = share((rank + step) % size);
    requests.push_back(messages.send((rank + step) % size, data + theirs.begin * element, theirs.count() * element));
  }
  co_await until([&] { return pending(requests); });

  void* const out[] = {data + mine.begin * element};
  reduce_tree(call.type, call.op, out, in, mine.count());

  requests.clear();
  for (int step = 1; step < size; ++step) {
    const int from = (rank + size - step) % size;
    requests.push_back(messages.receive(from, data + share(from).begin * element, share(from).count() * element));
  }
  for (int step = 1; step < size; ++step) requests.push_back(messages.send((rank + step) % size, out[0], bytes));
  co_await until([&] { return pending(requests); });
}

const char* refusal(const Group& group, const Call&) {
  return group.size() > 64 ? "it serves at most 64 ranks" : nullptr;
}

double seconds(const Group& group, size_t bytes) {
  const double n = group.size();
  return 2 * (1 + 0.2 * (n - 1)) * group.model().message +
         2 * (n - 1) / n * static_cast<double>(bytes) * group.model().message_byte;
}

const Register registered({Collective::all_reduce, "exchange", "shares go straight to their owners, sums straight back",
                           true, refusal, seconds, run});

}  // namespace
}  // namespace ds::comm

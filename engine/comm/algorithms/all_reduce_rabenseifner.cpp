// Recursive halving, then doubling back: log2 N rounds each way, and each rank sends no more than 2 (N-1)/N of the
// data. Adjacent partners come first, so that partial sums are nodes of the fixed tree.
#include <bit>
#include <vector>

#include "engine/comm/group.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

Task run(Group& group, Call call) {
  const int rank = group.rank();
  const size_t element = size_of(call.type);
  std::byte* const data = static_cast<std::byte*>(call.out);
  const auto theirs = scratch(call.bytes());
  Messages messages(group, call);

  std::vector<Part> parts{{0, call.count}};  // what this rank is answerable for, round by round
  for (int distance = 1; distance < group.size(); distance *= 2) {
    const int partner = rank ^ distance;
    const Part whole = parts.back();
    const Part low{whole.begin, whole.begin + part(whole.count(), element, 0, 2).end}, high{low.end, whole.end};
    const Part keep = partner < rank ? high : low, give = partner < rank ? low : high;
    Request requests[] = {messages.receive(partner, theirs.get(), keep.count() * element),
                          messages.send(partner, data + give.begin * element, give.count() * element)};
    co_await until([&] { return pending(requests); });
    std::byte* const at = data + keep.begin * element;
    void* const out[] = {at};
    const void* terms[] = {at, theirs.get()};
    if (partner < rank) std::swap(terms[0], terms[1]);
    reduce_tree(call.type, call.op, out, terms, keep.count());
    parts.push_back(keep);
  }
  for (int distance = group.size() / 2; distance > 0; distance /= 2) {
    const Part have = parts.back();
    parts.pop_back();
    const Part whole = parts.back();
    const Part get = rank & distance ? Part{whole.begin, have.begin} : Part{have.end, whole.end};
    Request requests[] = {messages.receive(rank ^ distance, data + get.begin * element, get.count() * element),
                          messages.send(rank ^ distance, data + have.begin * element, have.count() * element)};
    co_await until([&] { return pending(requests); });
  }
}

const char* refusal(const Group& group, const Call& call) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return "the number of ranks is not a power of two";
  if (group.size() > 2 && !partial_sums_are_exact(call.type, call.op)) return "it would round partial sums to bf16";
  return nullptr;
}

double seconds(const Group& group, size_t bytes) {
  const double n = group.size(), rounds = std::bit_width(static_cast<unsigned>(group.size())) - 1;
  return 2 * rounds * group.model().message + 2 * (n - 1) / n * static_cast<double>(bytes) * group.model().message_byte;
}

const Register registered({Collective::all_reduce, "rabenseifner", "recursive halving, then doubling", true, refusal,
                           seconds, run});

}  // namespace
}  // namespace ds::comm

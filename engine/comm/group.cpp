#include "engine/comm/group.h"

#include <algorithm>
#include <string_view>

namespace ds::comm {
namespace {

Model model_of(Transport& transport) {
  Model m;
  // Ranks that share cores wait for the scheduler, not for a cache line.
  if (transport.crowded()) m.flag = 6e-6;
  if (std::string_view(transport.name()) == "inproc") m.message = 2e-6;
  return m;
}

}  // namespace

Group::Group(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)),
      rank_(transport_->rank()),
      size_(transport_->size()),
      shares_memory_(transport_->shares_memory()),
      model_(model_of(*transport_)),
      memory_(*transport_) {}

Part part(size_t count, size_t element_bytes, int rank, int size) {
  const size_t line = std::max<size_t>(1, kCacheLine / element_bytes);
  const size_t share = ((count + size - 1) / size + line - 1) / line * line;
  return {std::min(count, share * rank), std::min(count, share * (rank + 1))};
}

}  // namespace ds::comm

// Tensors that ranks reduce and gather together, laid side by side in memory that the peers reach: gradients leave
// while backward still runs, posted as soon as the last one of their bucket is there. Producers write straight into it.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/lazy/op.h"

namespace ds::parallel {

// One copy of a bucket's tensors.
struct Region {
  std::shared_ptr<comm::Buffer> buffer;
  Ref<Storage> storage;
  bool reducing = false, gathering = false;  // such a collective over it is in a trace and was not run yet
};

struct Bucket {
  comm::Communicator* communicator;
  DType dtype;
  int group = 0;  // of its tensors
  std::vector<Type> types;
  std::vector<int64_t> offsets;       // in elements; each tensor begins on a cache line
  int64_t count = 0;                  // elements in all; every rank's share is count / size, whole cache lines
  std::function<void(bool)> on_wait;  // true when a wait begins, false when it ends
  std::vector<Region> regions;

  int64_t share() const { return count / communicator->size(); }
  int64_t begin() const { return share() * communicator->rank(); }  // of this rank's share
  Value place(int region, int64_t offset) const { return {regions[region].storage, offset, {}}; }
};
using BucketRef = std::shared_ptr<Bucket>;  // collectives under way outlive who made the buckets

// Cuts `types` into buckets of about `bucket_bytes`, of one dtype and one group (empty: all are of one), in their
// order, each with `regions` copies, zeroed.
std::vector<BucketRef> make_buckets(comm::Communicator& communicator, const std::vector<Type>& types,
                                    std::span<const int> groups, int64_t bucket_bytes, int regions,
                                    const std::function<void(bool)>& on_wait);

// Each appends one collective to the trace. A region takes one reduction at a time, and one gathering (Error
// otherwise); their results lie in its own memory, valid until the next one is evaluated. Errors name a tensor that is
// not of its place's type.

// The sums over all ranks of the bucket's tensors. Pass handles you no longer need by move.
std::vector<Tensor> all_reduce(const BucketRef& bucket, int region, std::vector<Tensor> tensors);
// This rank's share of those sums: share() elements.
Tensor reduce_scatter(const BucketRef& bucket, int region, std::vector<Tensor> tensors);
// The bucket's tensors from every rank's share of them.
std::vector<Tensor> all_gather(const BucketRef& bucket, int region, Tensor share);

}  // namespace ds::parallel

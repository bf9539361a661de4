// Gradients in buckets, reduced while backward still runs: each bucket is one all_reduce op in the trace, posted as
// soon as its last gradient is there. Producers write straight into the bucket.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/lazy/op.h"

namespace ds::parallel {

// Memory that the peers reach, with a place for each tensor of the bucket.
struct Bucket {
  comm::Communicator* communicator;
  std::shared_ptr<comm::Buffer> buffer;
  Ref<Storage> storage;
  DType dtype;
  std::vector<int64_t> offsets;  // in elements
  std::vector<Type> types;
  int64_t count = 0;
  std::function<void(bool)> on_wait;  // true when a wait begins, false when it ends; reductions outlive the Buckets
};

class Buckets {
 public:
  // `types` in the order in which backward is done with them: the first bucket fills first. One dtype.
  // on_wait is told when this rank waits for its peers.
  Buckets(comm::Communicator& communicator, const std::vector<Type>& types, int64_t bucket_bytes,
          const std::function<void(bool)>& on_wait);
  // The sums over all ranks of tensors of these types, in the same order. They lie in the buckets' own memory, valid
  // until the next reduction is evaluated: one at a time, and what shall stay is copied. Throws Error on other types.
  std::vector<Tensor> all_reduce(std::vector<Tensor> tensors) const;  // pass handles you no longer need by move
  size_t size() const { return buckets_.size(); }

 private:
  std::vector<std::shared_ptr<Bucket>> buckets_;
};

}  // namespace ds::parallel

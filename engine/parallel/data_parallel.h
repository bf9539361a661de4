// How the ranks of a data-parallel group share one model's update: what a rank's optimizer owns, and how the rank hears
// of the rest. The order in a step: reduce, the optimizer's step over owned(), gather, eval, settle.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/nn/module.h"

namespace ds::parallel {

class DataParallel {
 public:
  virtual ~DataParallel() = default;
  // What this rank's optimizer updates: the parameters themselves, or flat shards of them.
  virtual std::vector<nn::NamedParameter> owned() = 0;
  virtual std::vector<int> groups() = 0;  // of each of owned(); a shard holds pieces of one group

  struct Sums {
    std::vector<Tensor> grads;  // in the order of owned()
    std::vector<Tensor> extras;
  };
  // Appends the sums over all ranks. `grads` are in the order of the parameters; pass all handles by move.
  virtual Sums reduce(std::vector<Tensor> grads, std::vector<Tensor> extras) = 0;
  // Appends what brings the other ranks' updates into the parameters; it is evaluated with them.
  virtual std::vector<Tensor> gather() { return {}; }
  // After the step was evaluated.
  virtual void settle() = 0;

  // For checkpoints. One tensor for each of owned() becomes one for each parameter: collective; rank 0 gets them, the
  // others nothing.
  virtual std::vector<Tensor> whole(const std::vector<Tensor>& of_owned) = 0;
  // The reverse, on every rank for itself. Values are in host memory, of the parameters' types.
  virtual std::vector<Tensor> own(const std::vector<Tensor>& whole) = 0;
  // Gives the parameters new values.
  virtual void load(const std::vector<Tensor>& values) = 0;
};

// Parameters in the order in which forward uses them: backward is done with the last ones first. They must outlive it.
struct DataParallelOptions {
  std::vector<nn::NamedParameter> parameters;
  std::vector<int> groups = {};       // of each: those that are updated alike, and best one after the other; empty: all
  std::vector<Type> extras;           // of what travels beside the gradients: the loss, statistics
  int64_t bucket_bytes = 1 << 20;     // on one host the reduction of a bucket costs about its memory traffic
  std::function<void(bool)> on_wait;  // true when this rank begins to wait for its peers, false when it goes on
};
// Every rank updates everything: one all_reduce a bucket. A group of one reduces nothing.
std::unique_ptr<DataParallel> replicated(comm::Communicator& communicator, DataParallelOptions options);
// ZeRO stage 1 (Rajbhandari et al., arXiv 1910.02054): every rank updates its share of each bucket and holds the
// optimizer's states for that share alone. The gradients' memory becomes that of the new parameters, and the old ones'
// takes the next gradients: 8 + 8/N bytes a parameter with AdamW on N ranks, where replication holds 16.
std::unique_ptr<DataParallel> zero1(comm::Communicator& communicator, DataParallelOptions options);

}  // namespace ds::parallel

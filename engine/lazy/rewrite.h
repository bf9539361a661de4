// Changes of a trace before it is planned: what autograd and users wrote becomes another graph of the same values. They
// see the whole trace, so what they do depends on it alone, not on when a handle happened to go.
#pragma once
#include "engine/lazy/trace.h"

namespace ds {

// What a rewriting pass may do. Nodes that autograd may come back to are not to be changed.
class Rewriter {
 public:
  explicit Rewriter(const Trace& trace) : trace_(trace) {}

  const Trace& trace() const { return trace_; }
  bool changed() const { return changed_; }
  // Nobody sees the node's value but its one reader in the trace.
  bool hidden(const Node& n) const { return !n.evaluated && n.uses == 1 && !trace_.keep[n.index]; }
  // The node becomes `op` over `inputs`. Throws Error when its outputs would be of other types.
  void replace(Node& n, std::unique_ptr<const Op> op, Tensors inputs);
  // Input i of the node is read from `from`, which has the same value.
  void redirect(Node& n, size_t i, const Tensor& from);

 private:
  void check_free(const Node& n) const;

  NoGrad no_grad_;  // of the nodes that passes make
  const Trace& trace_;
  std::vector<Tensor> dropped_;  // what the trace's pointers need until it is made anew
  bool changed_ = false;
};

namespace passes {

// where(x > 0, max_pool2d_grad(g, x), 0), as behind a relu: the pooling's gradient leaves those places out itself.
void mask_pool_grad(Rewriter&);
// A product that is only wanted transposed is computed that way round and comes out contiguous: weight gradients.
void turn_matmul(Rewriter&);
// Permutations of permutations are one, or none.
void cancel_permutes(Rewriter&);

}  // namespace passes
}  // namespace ds

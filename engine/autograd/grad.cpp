#include "engine/autograd/grad.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/lazy/trace.h"
#include "engine/ops/functions.h"

namespace ds {
namespace {

void check_unspent(const Tensor& t) {
  if (t.node() && t.node()->spent) fail("grad", "the graph was used up by an earlier grad; give that one retain_graph");
}

// The nodes that output depends on through gradients, latest first: users before their inputs.
std::vector<Node*> differentiable(const Tensor& output) {
  std::vector<Node*> order, stack{output.node()};
  uint64_t mark = new_mark();
  output.node()->mark = mark;
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    order.push_back(n);
    for (const Tensor& input : n->inputs) {
      check_unspent(input);
      if (input.requires_grad() && std::exchange(input.node()->mark, mark) != mark) stack.push_back(input.node());
    }
  }
  std::sort(order.begin(), order.end(), [](Node* a, Node* b) { return a->sequence > b->sequence; });
  return order;
}

// By place in the order of the nodes, which each of them remembers until something is evaluated.
class Gradients {
 public:
  explicit Gradients(const std::vector<Node*>& nodes) : nodes_(nodes), grads_(nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) nodes[i]->index = static_cast<uint32_t>(i);
  }
  void add(const Tensor& of, const Tensor& g) {
    auto& list = grads_[place(of.node())];
    list.resize(of.node()->outputs.size());
    Tensor& slot = list[static_cast<size_t>(of.output())];
    slot = slot ? slot + g : g;
  }
  // Of the node's outputs; nothing when none has one.
  std::span<const Tensor> of(Node* n) const {
    size_t i = place(n);
    return i < nodes_.size() ? std::span<const Tensor>(grads_[i]) : std::span<const Tensor>();
  }

 private:
  size_t place(Node* n) const {
    if (n->index < nodes_.size() && nodes_[n->index] == n) return n->index;
    return static_cast<size_t>(std::find(nodes_.begin(), nodes_.end(), n) - nodes_.begin());
  }

  const std::vector<Node*>& nodes_;
  std::vector<Tensors> grads_;
};

void backward(Node* n, Gradients& gradients) {
  std::span<const Tensor> grads = gradients.of(n);
  if (grads.empty() || !n->op) return;
  Tensors outputs;
  for (size_t i = 0; i < n->outputs.size(); ++i) outputs.emplace_back(Ref<Node>(n), static_cast<int>(i));
  std::vector<Tensor> in = n->op->vjp(n->inputs, outputs, grads);
  for (size_t i = 0; i < n->inputs.size(); ++i)
    if (in[i] && n->inputs[i].requires_grad()) {
      // A real input's gradient is real, whatever its slope.
      gradients.add(n->inputs[i], is_complex(n->inputs[i].dtype()) ? in[i] : real(in[i]));
    }
}

// From the inputs up, so that whatever goes was seen before. What has its value already lets go here, the rest as it
// runs.
void release(const std::vector<Node*>& nodes) {
  for (size_t i = nodes.size(); i-- > 0;) {
    Node* n = nodes[i];
    if (!n->op) continue;
    n->requires_grad = false;
    n->spent = true;
    if (n->evaluated) n->detach();
  }
}

}  // namespace

std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, const GradOptions& o) {
  check_unspent(output);
  if (!output.requires_grad()) fail("grad", "the output does not depend on anything that requires a gradient");
  if (!o.grad_output && output.numel() != 1) fail("grad", "an output of ", output.type(), " needs a grad_output");
  if (!o.grad_output && is_complex(output.dtype()))
    fail("grad", "a complex output has a gradient only along a grad_output, got ", output.type());
  if (o.grad_output && !(o.grad_output.type() == output.type()))
    fail("grad", "grad_output is ", o.grad_output.type(), ", the output is ", output.type());
  std::optional<NoGrad> no_grad;
  if (!o.create_graph) no_grad.emplace();

  std::vector<Node*> nodes = differentiable(output);
  Gradients gradients(nodes);
  gradients.add(
      output, o.grad_output ? o.grad_output : reshape(like(output, 1), {output.shape().begin(), output.shape().end()}));
  for (Node* n : nodes) backward(n, gradients);

  std::vector<Tensor> result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::span<const Tensor> g = gradients.of(inputs[i].node());
    Tensor t = g.empty() ? Tensor() : g[static_cast<size_t>(inputs[i].output())];
    if (!t && !o.allow_unused) fail("grad", "the output does not depend on input ", i, ", ", inputs[i].type());
    result.push_back(std::move(t));
  }
  if (!o.retain_graph && !o.create_graph) release(nodes);
  return result;
}

}  // namespace ds

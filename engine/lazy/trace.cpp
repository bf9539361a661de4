#include "engine/lazy/trace.h"

#include <atomic>

namespace ds {
namespace {

std::atomic<uint64_t> next_mark{0};

class Hasher {
 public:
  void add(uint64_t x) {
    a_ = (a_ ^ x) * 0x9e3779b97f4a7c15u;
    a_ ^= a_ >> 29;
    b_ = (b_ + x) * 0xd6e8feb86659fd93u;
    b_ ^= b_ >> 32;
  }
  void store(uint64_t out[2]) const { out[0] = a_, out[1] = b_; }

 private:
  uint64_t a_ = 0x243f6a8885a308d3u, b_ = 0x13198a2e03707344u;
};

// Depth first without recursion: a trace may be thousands of nodes deep.
void visit(Node* root, uint64_t mark, Trace& trace) {
  struct Frame {
    Node* node;
    size_t next;
  };
  SmallVector<Frame, 16> stack;
  auto enter = [&](Node* n) {
    n->mark = mark;
    n->uses = 0;
    if (n->evaluated) {
      n->index = static_cast<uint32_t>(trace.leaves.size());
      trace.leaves.push_back(n);
    } else {
      stack.push_back({n, 0});
    }
  };
  if (root->mark != mark) enter(root);
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.next < top.node->inputs.size()) {
      Node* input = top.node->inputs[top.next++].node();
      if (input->mark != mark) enter(input);
    } else {
      top.node->index = static_cast<uint32_t>(trace.nodes.size());
      trace.nodes.push_back(top.node);
      trace.kinds.set(static_cast<size_t>(top.node->op->kind()));
      stack.pop_back();
    }
  }
}

// Shapes by number, in order of first sight: what may share a loop is known without extents.
class ShapeNumbers {
 public:
  uint64_t of(const Shape& s) {
    for (size_t i = recent_.size(); i-- > 0;)
      if (*recent_[i] == s) return i;
    recent_.push_back(&s);
    return recent_.size() - 1;
  }

 private:
  SmallVector<const Shape*, 16> recent_;
};

// Extents of 1 are what broadcasting turns on: a bias of (1,) is not added as one of (n,) is.
uint64_t ones_of(const Shape& s) {
  uint64_t mask = 0;
  for (int i = 0; i < s.rank(); ++i) mask |= static_cast<uint64_t>(s[i] == 1) << i;
  return mask;
}

void add_outputs(const Node& n, ShapeNumbers& shapes, Hasher& h) {
  for (auto& o : n.outputs) {
    h.add(static_cast<uint64_t>(o.type.dtype) | static_cast<uint64_t>(o.type.shape.rank()) << 8 |
          shapes.of(o.type.shape) << 16 | ones_of(o.type.shape) << 48);
  }
}

}  // namespace

uint64_t new_mark() { return next_mark.fetch_add(1) + 1; }

Trace make_trace(std::span<const Tensor> roots) {
  Trace trace;
  uint64_t mark = new_mark();
  for (const Tensor& t : roots) visit(t.node(), mark, trace);
  for (Node* n : trace.nodes)
    for (const Tensor& input : n->inputs) ++input.node()->uses;

  for (const Node* n : trace.nodes) trace.keep.push_back(n->use_count() > n->uses);
  return trace;
}

void hash_structure(Trace& trace) {
  Hasher h;
  ShapeNumbers shapes;
  for (Node* n : trace.leaves) add_outputs(*n, shapes, h);
  for (size_t i = 0; i < trace.nodes.size(); ++i) {
    const Node& n = *trace.nodes[i];
    h.add(static_cast<uint64_t>(n.op->kind()) | static_cast<uint64_t>(trace.keep[i]) << 8 | n.inputs.size() << 16 |
          static_cast<uint64_t>(n.op->variant()) << 56);
    for (const Tensor& input : n.inputs)
      h.add(input.node()->index << 1 | static_cast<uint64_t>(input.node()->evaluated) |
            static_cast<uint64_t>(input.output()) << 40);
    add_outputs(n, shapes, h);
  }
  h.store(trace.hash);
}

}  // namespace ds

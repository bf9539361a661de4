#include <algorithm>

#include "engine/lazy/passes.h"

namespace ds::passes {
namespace {

class EpilogueFuser {
 public:
  EpilogueFuser(const Trace& trace, Plan& plan)
      : trace_(trace), plan_(plan), users_(users_of(trace)), step_(step_of(trace, plan)) {}

  void run() {
    for (uint32_t n = 0; n < trace_.nodes.size(); ++n) {
      OpKind k = kind(n);
      // In the short floats single ops round between the product and its epilogue: fusing would change bits.
      DType t = trace_.nodes[n]->outputs[0].type.dtype;
      bool exact = t == DType::f32 || t == DType::f64;
      if (exact && (k == OpKind::MatmulOp || k == OpKind::Conv2dOp)) fuse(n);
    }
    std::erase_if(plan_.steps, [](const Step& s) { return s.nodes.empty(); });
    sort_steps(trace_, plan_, false);
  }

 private:
  OpKind kind(uint32_t n) const { return trace_.nodes[n]->op->kind(); }

  // The only reader of a value that nobody else will see.
  int only_user(uint32_t n) const {
    return !trace_.keep[n] && users_[n].size() == 1 ? static_cast<int>(users_[n][0]) : -1;
  }

  // The bias behind a broadcast, when it has the form that `main` can add: (n,), or (1,c,1,1) for a convolution.
  bool bias_behind(const Tensor& operand, uint32_t main, Slot& bias) const {
    const Node* b = operand.node();
    if (b->evaluated || b->op->kind() != OpKind::Broadcast || trace_.keep[b->index] || b->uses != 1) return false;
    const Type& t = b->inputs[0].type();
    const Shape& out = trace_.nodes[main]->outputs[0].type.shape;
    bool fits =
        kind(main) == OpKind::MatmulOp ? t.shape == Shape{out[out.rank() - 1]} : t.shape == Shape{1, out[1], 1, 1};
    bias = slot_of(b->inputs[0]);
    return fits;
  }

  void take(Step& step, uint32_t n) {
    if (step.parts.empty()) step.parts = {Step(step)};
    Step& part = plan_.steps[step_[n]];
    step.nodes.push_back(n);
    step.parts.push_back(std::move(part));
    part.nodes.clear();
  }

  void fuse(uint32_t main) {
    Step& step = plan_.steps[step_[main]];
    int next = only_user(main);
    if (next < 0) return;
    if (kind(next) == OpKind::Add) {
      const Node& add = *trace_.nodes[next];
      int other = add.inputs[0].node() == trace_.nodes[main] ? 1 : 0;
      if (add.inputs[0].node() == add.inputs[1].node() || !bias_behind(add.inputs[other], main, step.bias)) return;
      step.has_bias = true;
      take(step, add.inputs[other].node()->index);
      take(step, next);
      step.result = next;
      next = only_user(next);
    }
    if (next >= 0 && kind(next) == OpKind::Relu) {
      step.relu = true;
      take(step, next);
      step.result = next;
    }
    std::sort(step.nodes.begin(), step.nodes.end());
    std::sort(step.parts.begin(), step.parts.end(), [](const Step& a, const Step& b) { return a.main < b.main; });
  }

  const Trace& trace_;
  Plan& plan_;
  std::vector<std::vector<uint32_t>> users_;
  std::vector<uint32_t> step_;
};

}  // namespace

void fuse_epilogue(const Trace& trace, Plan& plan) { EpilogueFuser(trace, plan).run(); }

}  // namespace ds::passes

#include <algorithm>

#include "engine/lazy/passes.h"

namespace ds::passes {
namespace {

constexpr size_t kMaxNodes = 48;  // of a program: its blocks must stay in L1
constexpr size_t kMaxInputs = 24;

class ChainFuser {
 public:
  ChainFuser(const Trace& trace, Plan& plan)
      : trace_(trace), plan_(plan), users_(users_of(trace)), step_(step_of(trace, plan)) {}

  void run() {
    std::vector<uint32_t> program(trace_.nodes.size());
    for (uint32_t n = 0; n < program.size(); ++n) program[n] = n;
    std::sort(program.begin(), program.end(),
              [&](uint32_t a, uint32_t b) { return trace_.nodes[a]->sequence < trace_.nodes[b]->sequence; });
    find_stretches(program);
    visited_.assign(plan_.steps.size(), 0);
    for (const Step& s : plan_.steps) {
      first_.push_back(UINT64_MAX), last_.push_back(0);
      for (uint32_t n : s.nodes) {
        first_.back() = std::min(first_.back(), trace_.nodes[n]->sequence);
        last_.back() = std::max(last_.back(), trace_.nodes[n]->sequence);
      }
    }
    for (uint32_t n : program) {
      if (!fusible(step_[n])) continue;
      for (const Tensor& input : trace_.nodes[n]->inputs)
        if (!input.node()->evaluated) try_merge(step_[input.node()->index], step_[n]);
    }
    std::erase_if(plan_.steps, [](const Step& s) { return s.nodes.empty(); });
    for (Step& s : plan_.steps)
      if (s.nodes.size() > 1 && !s.outputs.empty()) build_program(trace_, users_, s);
    sort_steps(trace_, plan_, false);
  }

 private:
  bool fusible(uint32_t s) const { return !plan_.steps[s].outputs.empty(); }

  // Stretches of the program without a heavy op: fusing across one would only keep memory alive longer.
  void find_stretches(const std::vector<uint32_t>& program) {
    stretch_.resize(program.size());
    uint32_t current = 0;
    for (uint32_t n : program) {
      Category c = trace_.nodes[n]->op->info().category;
      if (c == Category::compute || c == Category::communication) ++current;
      stretch_[n] = current;
    }
  }

  void try_merge(uint32_t a, uint32_t b) {
    if (a == b || !fusible(a) || !fusible(b)) return;
    Step &x = plan_.steps[a], &y = plan_.steps[b];
    const Type& tx = trace_.nodes[x.nodes[0]]->outputs[0].type;
    const Type& ty = trace_.nodes[y.nodes[0]]->outputs[0].type;
    if (!(tx.shape == ty.shape) || stretch_[x.nodes[0]] != stretch_[y.nodes[0]]) return;
    std::vector<Slot> inputs = outer_inputs(a, b);
    if (x.nodes.size() + y.nodes.size() > kMaxNodes || inputs.size() > kMaxInputs) return;
    if (path_outside(a, b) || path_outside(b, a)) return;
    for (uint32_t n : x.nodes) step_[n] = b;
    y.nodes.insert(y.nodes.end(), x.nodes.begin(), x.nodes.end());
    y.inputs = std::move(inputs);
    first_[b] = std::min(first_[a], first_[b]);
    last_[b] = std::max(last_[a], last_[b]);
    x.nodes.clear();
    x.outputs.clear();
  }

  // What the two read from outside of both.
  std::vector<Slot> outer_inputs(uint32_t a, uint32_t b) const {
    std::vector<Slot> out;
    for (uint32_t s : {a, b})
      for (const Slot& slot : plan_.steps[s].inputs) {
        bool inside = !slot.leaf && (step_[slot.index] == a || step_[slot.index] == b);
        if (!inside && std::find(out.begin(), out.end(), slot) == out.end()) out.push_back(slot);
      }
    return out;
  }

  // Does `to` depend on `from` through a step that is neither? Whatever was written wholly before `from` cannot.
  bool path_outside(uint32_t from, uint32_t to) {
    ++mark_;
    std::vector<uint32_t> stack;
    auto enter_inputs = [&](uint32_t s, bool direct) {
      for (uint32_t n : plan_.steps[s].nodes)
        for (const Tensor& input : trace_.nodes[n]->inputs) {
          if (input.node()->evaluated) continue;
          uint32_t p = step_[input.node()->index];
          if (p == s || (direct && p == from) || visited_[p] == mark_ || last_[p] < first_[from]) continue;
          visited_[p] = mark_;
          stack.push_back(p);
        }
    };
    enter_inputs(to, true);
    while (!stack.empty()) {
      uint32_t s = stack.back();
      stack.pop_back();
      if (s == from) return true;
      enter_inputs(s, false);
    }
    return false;
  }

  const Trace& trace_;
  Plan& plan_;
  std::vector<std::vector<uint32_t>> users_;
  std::vector<uint32_t> step_, stretch_;
  std::vector<uint64_t> visited_, first_, last_;  // by step: mark, range of the program
  uint64_t mark_ = 0;
};

}  // namespace

void fuse_elementwise(const Trace& trace, Plan& plan) { ChainFuser(trace, plan).run(); }

}  // namespace ds::passes

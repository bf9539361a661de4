#include "engine/lazy/passes.h"

#include <algorithm>
#include <queue>

#include "engine/ops/elementwise.h"

namespace ds::passes {

Slot slot_of(const Tensor& t) { return {t.node()->index, static_cast<uint16_t>(t.output()), t.node()->evaluated}; }

std::vector<std::vector<uint32_t>> users_of(const Trace& trace) {
  std::vector<std::vector<uint32_t>> users(trace.nodes.size());
  for (uint32_t i = 0; i < trace.nodes.size(); ++i)
    for (const Tensor& input : trace.nodes[i]->inputs)
      if (!input.node()->evaluated) users[input.node()->index].push_back(i);
  return users;
}

std::vector<uint32_t> step_of(const Trace& trace, const Plan& plan) {
  std::vector<uint32_t> step(trace.nodes.size());
  for (uint32_t s = 0; s < plan.steps.size(); ++s)
    for (uint32_t n : plan.steps[s].nodes) step[n] = s;
  return step;
}

void build_program(const Trace& trace, const std::vector<std::vector<uint32_t>>& users, Step& step) {
  step.code = {};
  step.inputs.clear();
  step.outputs.clear();
  std::sort(step.nodes.begin(), step.nodes.end());
  auto member = [&](uint32_t n) {
    auto it = std::lower_bound(step.nodes.begin(), step.nodes.end(), n);
    return it != step.nodes.end() && *it == n ? static_cast<int>(it - step.nodes.begin()) : -1;
  };
  for (uint32_t n : step.nodes)
    for (const Tensor& input : trace.nodes[n]->inputs) {
      Slot s = slot_of(input);
      if ((!s.leaf && member(s.index) >= 0) ||
          std::find(step.inputs.begin(), step.inputs.end(), s) != step.inputs.end())
        continue;
      step.inputs.push_back(s);
      step.code.inputs.push_back(input.dtype());
    }
  for (uint32_t n : step.nodes) {
    const Node& node = *trace.nodes[n];
    kernels::EwInstruction in{static_cast<const Elementwise&>(*node.op).code(), node.outputs[0].type.dtype, {}};
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      Slot s = slot_of(node.inputs[k]);
      int m = s.leaf ? -1 : member(s.index);
      size_t r =
          m >= 0 ? step.inputs.size() + m : std::find(step.inputs.begin(), step.inputs.end(), s) - step.inputs.begin();
      in.operand[k] = static_cast<uint16_t>(r);
    }
    step.code.instructions.push_back(in);
    bool seen = trace.keep[n];
    for (uint32_t u : users[n]) seen |= member(u) < 0;
    if (!seen) continue;
    step.outputs.push_back(n);
    step.code.outputs.push_back(static_cast<uint16_t>(step.inputs.size() + step.code.instructions.size() - 1));
  }
  step.main = step.result = step.nodes.back();
}

void sort_steps(const Trace& trace, Plan& plan, bool defer_communication) {
  auto step = step_of(trace, plan);
  size_t n = plan.steps.size();
  std::vector<std::vector<uint32_t>> users(n);
  std::vector<uint32_t> missing(n, 0);
  std::vector<uint64_t> sequence(n, 0);
  for (uint32_t s = 0; s < n; ++s)
    for (uint32_t node : plan.steps[s].nodes) {
      sequence[s] = std::max(sequence[s], trace.nodes[node]->sequence);
      for (const Tensor& input : trace.nodes[node]->inputs) {
        if (input.node()->evaluated || step[input.node()->index] == s) continue;
        users[step[input.node()->index]].push_back(s);
        ++missing[s];
      }
    }
  // 0: communication, 1: what needs none, 2: what waits for it
  std::vector<uint8_t> rank(n, 1);
  using Entry = std::tuple<uint8_t, uint64_t, uint32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  auto push = [&](uint32_t s) {
    bool posts = trace.nodes[plan.steps[s].main]->op->info().category == Category::communication;
    ready.emplace(defer_communication && posts ? uint8_t{0} : rank[s], sequence[s], s);
  };
  for (uint32_t s = 0; s < n; ++s)
    if (missing[s] == 0) push(s);
  std::vector<Step> sorted;
  while (!ready.empty()) {
    uint32_t s = std::get<2>(ready.top());
    ready.pop();
    bool posts = trace.nodes[plan.steps[s].main]->op->info().category == Category::communication;
    for (uint32_t u : users[s]) {
      if (defer_communication && (posts || rank[s] == 2)) rank[u] = 2;
      if (--missing[u] == 0) push(u);
    }
    sorted.push_back(std::move(plan.steps[s]));
  }
  if (sorted.size() != n) fail("plan", "the steps form a cycle");
  plan.steps = std::move(sorted);
}

void order(const Trace& trace, Plan& plan) { sort_steps(trace, plan, true); }

void place(const Trace& trace, Plan& plan) {
  for (uint32_t c = 0; c < trace.nodes.size(); ++c) {
    const Node& node = *trace.nodes[c];
    if (node.op->info().category != Category::communication) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      Node* p = node.inputs[i].node();
      if (p->evaluated || (node.op->overwrites_inputs() && (p->uses != 1 || trace.keep[p->index]))) continue;
      Category category = p->op->info().category;
      if (category == Category::compute || is_elementwise(category))
        plan.placements.push_back({p->index, node.inputs[i].output(), c, static_cast<int>(i)});
    }
  }
}

}  // namespace ds::passes

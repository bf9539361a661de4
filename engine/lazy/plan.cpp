#include "engine/lazy/plan.h"

#include <atomic>
#include <chrono>

#include "engine/lazy/passes.h"
#include "engine/lazy/plan_cache.h"
#include "engine/lazy/rewrite.h"

namespace ds {
namespace {

struct PassEntry {
  const char* name;
  OpKind rewritten;            // nothing to rewrite in a trace without one
  void (*rewrite)(Rewriter&);  // one of the two
  void (*plan)(const Trace&, Plan&);
  std::atomic<bool> on{true};
  std::atomic<uint64_t> runs{0};
  std::atomic<double> seconds{0};
};

PassEntry table[] = {
    {"mask_pool_grad", OpKind::MaxPool2dGrad, passes::mask_pool_grad, nullptr},
    {"turn_matmul", OpKind::Permute, passes::turn_matmul, nullptr},
    {"cancel_permutes", OpKind::Permute, passes::cancel_permutes, nullptr},
    {"fuse_epilogue", {}, nullptr, passes::fuse_epilogue},
    {"fuse_elementwise", {}, nullptr, passes::fuse_elementwise},
    {"order", {}, nullptr, passes::order},
    {"place", {}, nullptr, passes::place},
};

template <class F>
void run(PassEntry& pass, F&& f) {
  if (!pass.on) return;
  auto start = std::chrono::steady_clock::now();
  f();
  ++pass.runs;
  pass.seconds = pass.seconds + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<PassStats> pass_stats() {
  std::vector<PassStats> out;
  for (PassEntry& p : table) out.push_back({p.name, p.on, p.runs, p.seconds});
  return out;
}

void set_pass(Pass p, bool on) {
  if (table[static_cast<int>(p)].on.exchange(on) != on) clear_plan_cache();
}

void verify(const Plan& plan, const Trace& trace) {
  std::vector<uint32_t> step(trace.nodes.size(), UINT32_MAX);
  auto name = [&](uint32_t n) { return trace.nodes[n]->op->info().name; };
  for (uint32_t s = 0; s < plan.steps.size(); ++s)
    for (uint32_t n : plan.steps[s].nodes) {
      if (step[n] != UINT32_MAX) fail("plan", "node ", n, " (", name(n), ") is run twice");
      step[n] = s;
    }
  for (uint32_t n = 0; n < step.size(); ++n) {
    if (step[n] == UINT32_MAX) fail("plan", "node ", n, " (", name(n), ") is not run");
    for (const Tensor& input : trace.nodes[n]->inputs) {
      if (input.node()->evaluated) continue;
      uint32_t m = input.node()->index;
      if (step[m] > step[n] || (step[m] == step[n] && m >= n))
        fail("plan", name(n), " runs before its input ", name(m));
    }
  }
}

void rewrite(Trace& trace, std::span<const Tensor> roots) {
  for (PassEntry& pass : table) {
    if (!pass.rewrite || !trace.has(pass.rewritten)) continue;
    run(pass, [&] {
      bool changed;
      {
        Rewriter rewriter(trace);
        pass.rewrite(rewriter);
        changed = rewriter.changed();
      }
      if (changed) trace = make_trace(roots);
    });
  }
}

std::unique_ptr<Plan> make_plan(const Trace& trace) {
  auto plan = std::make_unique<Plan>();
  auto users = passes::users_of(trace);
  for (uint32_t i = 0; i < trace.nodes.size(); ++i) {
    Step s;
    s.nodes = {i};
    s.main = s.result = i;
    if (is_elementwise(trace.nodes[i]->op->info().category)) passes::build_program(trace, users, s);
    plan->steps.push_back(std::move(s));
  }
  verify(*plan, trace);
  for (PassEntry& pass : table) {
    if (!pass.plan) continue;
    run(pass, [&] {
      pass.plan(trace, *plan);
      verify(*plan, trace);
    });
  }
  return plan;
}

}  // namespace ds

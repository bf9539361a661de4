// How a trace is run: its nodes in steps, some fused. A plan knows positions in the trace, not extents or addresses, so
// one plan serves every trace of the same structural hash.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/lazy/trace.h"
#include "kernels/elementwise.h"

namespace ds {

struct Slot {  // an output of a node of the trace, or of a leaf
  uint32_t index;
  uint16_t output;
  bool leaf;
  bool operator==(const Slot&) const = default;
};

struct Step {
  std::vector<uint32_t> nodes;  // in the order of the trace; one, unless fused
  uint32_t main;                // the op that runs; of a fused program: the last node

  // A fused elementwise program (`outputs` is not empty):
  kernels::EwCode code;
  std::vector<Slot> inputs;
  std::vector<uint32_t> outputs;  // nodes whose values are stored

  // A compute op with an epilogue: the value goes to `result`.
  uint32_t result;
  bool has_bias = false, relu = false;
  Slot bias{};
  std::vector<Step> parts;  // what it was fused from, in order: run when the op refuses the epilogue
};

struct Placement {  // a node's output is best written where the communication op wants its input
  uint32_t node;
  int output;
  uint32_t communication;
  int input;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Placement> placements;
};

// The passes, in order; each may be switched off by name for tests and for finding faults. Those up to cancel_permutes
// rewrite the trace, at each evaluation (engine/lazy/rewrite.h); the others make its plan.
enum class Pass : uint8_t {
  mask_pool_grad,
  turn_matmul,
  cancel_permutes,
  fuse_epilogue,
  fuse_elementwise,
  order,
  place
};
struct PassStats {
  const char* name;
  bool on;
  uint64_t runs;
  double seconds;
};
std::vector<PassStats> pass_stats();
void set_pass(Pass, bool on);  // a change empties the plan cache

// Runs the passes that rewrite; the trace is made anew from its roots when one did.
void rewrite(Trace&, std::span<const Tensor> roots);
std::unique_ptr<Plan> make_plan(const Trace&);

// Throws Error when steps use what was not computed before, or leave out or repeat a node: run after every pass.
void verify(const Plan&, const Trace&);

}  // namespace ds

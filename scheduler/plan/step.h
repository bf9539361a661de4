// One training step of one layout: its time in parts, its memory by stage.
#pragma once
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/cluster/cluster.h"
#include "scheduler/cost/layer.h"
#include "scheduler/cost/model.h"
#include "scheduler/memory/memory.h"

namespace ds::plan {

// Seconds; they sum to the step.
struct Parts {
  double compute = 0, bubble = 0, tensor_comm = 0, pipeline_comm = 0, data_comm = 0, optimizer = 0;

  double total() const { return compute + bubble + tensor_comm + pipeline_comm + data_comm + optimizer; }
};

struct Step {
  Parts parts;
  double seconds = 0;
  double model_flops_per_device = 0, hardware_flops_per_device = 0;  // FLOP/s
  double mfu = 0, hfu = 0;                                           // of the peak of the devices used
  double tokens_per_second = 0;
};

// What a layout's time is made of that other layouts share: kept by the search.
struct Pieces {
  PieceTime layer, embedding, logits;
};
Pieces pieces_of(const Cluster& cluster, const NodeGroup& group, const Transformer& model, const Layout& layout);

// The group of nodes that pipeline rank `stage` runs on: contiguous, in the cluster's order.
int group_of(const Cluster& cluster, const Layout& layout, int stage);

// How long the pipeline stands idle in a step of `micro` micro-batches, from the slowest stage's pass and the time
// `others` of one pass through all the other stages: the makespan beyond that stage's work, with F, B (the input
// gradient, alone) and W. GPipe and 1F1B (p-1)(F+B+W), interleaved that / v (arXiv 2104.04473); ZB-H1 (p-1)(F+B-W),
// ZB-H2 (p-1)(F+B-2W) (arXiv 2401.10241 table 1), but the last stage starts (p-1) F late and the optimizer waits for
// it; ZB-V p max(F,B)/2 and DualPipeV p(B-W/2)-(B-W)-F/2, no less than ZB-V's: read off the simulation of their lists,
// within 2.5 % of the step. V-Half and V-Min are simulated: between costs that are not alike their idle time grows with
// `micro`.
double bubble_seconds(const Layout& layout, double micro, double others, const PieceTime& slowest);

// The step on checked arguments. `pieces` has one entry a group.
Step step_time(const Cluster& cluster, const Transformer& model, const Layout& layout,
               const std::vector<Pieces>& pieces);
Step step_time(const Cluster& cluster, const Transformer& model, const Layout& layout);

}  // namespace ds::plan

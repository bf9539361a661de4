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

// The step on checked arguments. `pieces` has one entry a group.
Step step_time(const Cluster& cluster, const Transformer& model, const Layout& layout,
               const std::vector<Pieces>& pieces);
Step step_time(const Cluster& cluster, const Transformer& model, const Layout& layout);

}  // namespace ds::plan

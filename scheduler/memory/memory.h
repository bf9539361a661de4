// Bytes that one device holds at the peak of a step.
#pragma once
#include <vector>

#include "scheduler/cluster/cluster.h"
#include "scheduler/cost/model.h"

namespace ds::plan {

struct Memory {
  double weights = 0, gradients = 0, optimizer = 0, activations = 0;
  double other = 0;  // context, communication buffers, workspace, fragmentation

  double total() const { return weights + gradients + optimizer + activations + other; }
};

// Activations of one layer for one micro-batch. Korthikanti et al., arXiv 2205.05198, equations 1 to 6 and table 2,
// with the MLP's and key-value heads' widths left free: for ffn 4h and plain attention, exactly
// s b h (34 + 5 a s / h) without parallelism. Flash attention keeps no s x s matrices (arXiv 2205.14135).
double layer_activation_bytes(const Transformer& model, const Layout& layout, const Software& software);

// Micro-batches' worth of a stage's layers that stage `stage` holds at its peak: p - stage under 1F1B, times
// 1 + (p-1)/(p v) interleaved (ibid. section 4.2.3), all of them under GPipe, 2p-1-2 stage under ZB-H2 (arXiv
// 2401.10241), constant under the V schedules: p, p/2, p/3 (arXiv 2405.15362).
double in_flight(const Transformer& model, const Layout& layout, int stage);

// Of pipeline rank `stage`. Weights 2, gradients 4, fp32 master and two moments 12 bytes a parameter; ZeRO-1 divides
// the last, ZeRO-2 also gradients, ZeRO-3 also weights by the data-parallel ranks (arXiv 1910.02054).
Memory stage_memory(const Cluster& cluster, const Transformer& model, const Layout& layout, int stage);

// Parameters on one device of a pipeline rank.
double stage_parameters(const Transformer& model, const Layout& layout, int stage);

}  // namespace ds::plan

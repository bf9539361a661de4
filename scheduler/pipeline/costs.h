// What a pipeline's pieces cost: times and activations.
#pragma once
#include <vector>

#include "absl/status/status.h"

namespace ds::pipeline {

// Of one chunk of one stage and one micro-batch. Any unit, the same everywhere.
struct ChunkTimes {
  double forward = 0;          // F
  double input_gradient = 0;   // B
  double weight_gradient = 0;  // W
  double sum() const { return forward + input_gradient + weight_gradient; }
};

struct Costs {
  // One for all chunks of all stages, or one a chunk: times[stage * chunks + chunk].
  std::vector<ChunkTimes> times = {{1, 1, 1}};
  // Of an activation or gradient between stages. One for all edges, or one an edge: transfer[stage] is the edge from
  // stage to stage + 1 (the last one: back to stage 0), alike in both directions; of two stages, transfer[0] leads to
  // stage 1 and transfer[1] back. Nothing within a stage. Empty: 0.
  std::vector<double> transfer;
  // Whether a stage computes while its transfers are under way. If not, a transfer also holds its sender.
  bool overlapped = true;
  // The share of a stage's activations of one micro-batch that a chunk holds, summing to 1 a stage; laid out as times.
  // Empty: 1 / chunks.
  std::vector<double> activation;
  // What stays of a chunk's activations between B and W, in [0, 1]. 1: all of them, the safe count. A transformer
  // layer keeps 32 of 34 + 5as/h bytes per sequence x hidden (arXiv 2401.10241, section 2.3).
  double held_for_weights = 1;

  // Count the edge from the last stage back to stage 0 as the Zero Bubble paper's own evaluation does: waited for by
  // the first micro-batch of each group of `stages` only. Optimistic; for comparing with its 1F1B-I column.
  bool wrap_waits_once = false;

  // InvalidArgument that names the field: a wrong length, a negative or infinite value.
  absl::Status check(int stages, int chunks) const;

  // Of a stage that takes f, b, w in all its chunks together, spread evenly over them.
  static Costs even(double f, double b, double w, double transfer, int chunks = 1);

  const ChunkTimes& at(int stage, int chunk, int chunks) const {
    return times.size() == 1 ? times[0] : times[stage * chunks + chunk];
  }
  double edge(int from, int to, int stages) const {
    if (transfer.empty() || from == to) return 0;
    if (transfer.size() == 1) return transfer[0];
    return transfer[to == (from + 1) % stages ? from : to];
  }
  double activation_of(int stage, int chunk, int chunks) const {
    return activation.empty() ? 1.0 / chunks : activation[activation.size() == 1 ? 0 : stage * chunks + chunk];
  }
};

}  // namespace ds::pipeline

// Trains by the optimizer of a graph file.
#pragma once
#include <memory>
#include <vector>

#include "engine/models/graph_file.h"
#include "engine/optim/optimizer.h"

namespace ds::models {

// Which of the updates is for each of the parameters, which the file's reader has checked to be in one.
std::vector<int> updates_of(const GraphOptimizer& optimizer, const std::vector<nn::NamedParameter>& parameters);

// updates: for each of `parameters`, or shards of them. seed: of random numbers, drawn anew each step.
std::unique_ptr<optim::Optimizer> graph_optimizer(std::vector<nn::NamedParameter> parameters, GraphOptimizer optimizer,
                                                  std::vector<int> updates, uint64_t seed);

}  // namespace ds::models

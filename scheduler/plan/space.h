// The layouts that a search goes through, by family: layouts of a family share the time of a layer.
#pragma once
#include <vector>

#include "scheduler/plan/plan.h"

namespace ds::plan {

// A layout without its schedule, interleave and ZeRO stage.
using Family = Layout;

std::vector<Family> families(const Cluster& cluster, const Transformer& model, const Wish& wish);
// The members of a family. `pieces` has one entry a node group: uneven stages are cut by them.
std::vector<Layout> members(const Cluster& cluster, const Transformer& model, const Wish& wish, const Family& family,
                            const std::vector<Pieces>& pieces);
// Layers a stage such that the slowest stage is as fast as can be: each layer goes where it ends earliest, which is
// optimal for layers that are alike.
std::vector<int> balanced_layers(const Cluster& cluster, const Transformer& model, const Layout& layout,
                                 const std::vector<Pieces>& pieces);

}  // namespace ds::plan

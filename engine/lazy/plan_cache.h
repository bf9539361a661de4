// Plans by the structural hash of their traces.
#pragma once
#include <cstddef>
#include <memory>

#include "engine/lazy/plan.h"

namespace ds {

inline constexpr size_t kMaxPlans = 4096;

// The plan of a trace of this structure: a new one is made at first sight. At most kMaxPlans are kept; the one that was
// used longest ago goes first. Safe to call from several threads.
std::shared_ptr<const Plan> plan_for(const Trace&);
// The plan of a trace of one node, found without a hash: its op, its dtypes and which inputs are the same say all of
// it. Passes are about edges between nodes: they change nothing here. Kept for good. Null: use plan_for.
const Plan* plan_of_one(const Trace&);
void clear_plan_cache();
size_t cached_plans();
uint64_t plans_built();

}  // namespace ds

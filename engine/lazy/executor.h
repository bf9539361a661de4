// Runs plans over traces.
#pragma once
#include <cstdint>
#include <functional>

#include "engine/lazy/tensor.h"

namespace ds {

// Row-major elements of `value` in fresh memory.
Value make_contiguous(const Value& value, const Type& type, Device device);

struct ExecutorStats {
  uint64_t evaluations = 0;  // traces run
  uint64_t singles = 0;      // of these, of one node: neither rewritten nor hashed
  uint64_t plans = 0;        // plans built; the rest came from the cache
  uint64_t nodes = 0;        // nodes run
  uint64_t steps = 0;        // kernels launched for them: less than nodes where ops were fused
  uint64_t cached = 0;       // plans in the cache: at most kMaxPlans of plan_cache.h
};
ExecutorStats executor_stats();
void clear_plan_cache();

// Until it is called again: computing what depends on one of these, on this thread, throws Error. For those who write a
// model down: what it does with a value that it looks at is not in its graph.
void watch(std::vector<Tensor> tensors);

// Called between steps while it is set: moves communication under way forward. Empty: none.
void set_progress_hook(std::function<void()> hook);

}  // namespace ds

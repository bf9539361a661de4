#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/vee.h"

namespace ds::pipeline {

// V-Min, Pipeline Parallelism with Controllable Memory (arXiv 2405.15362): a third of 1f1b's memory.
absl::StatusOr<Schedule> v_min(const Request& request) { return repeat_block(request, {1, 1, 1, 1}); }

}  // namespace ds::pipeline

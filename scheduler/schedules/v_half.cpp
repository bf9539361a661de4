#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/vee.h"

namespace ds::pipeline {

// V-Half, Pipeline Parallelism with Controllable Memory (arXiv 2405.15362): half of 1f1b's memory.
absl::StatusOr<Schedule> v_half(const Request& request) { return repeat_block(request, {1, 2, 1, 2}); }

}  // namespace ds::pipeline

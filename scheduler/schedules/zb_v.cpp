#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/search.h"

namespace ds::pipeline {

// ZB-V, arXiv 2401.10241 section 6: two chunks a stage in a vee, searched within 1f1b's memory.
absl::StatusOr<Schedule> zb_v(const Request& request) {
  double limit = request.memory_limit > 0 ? request.memory_limit : request.stages;
  return search(request, Placement::vee, limit, {});
}

}  // namespace ds::pipeline

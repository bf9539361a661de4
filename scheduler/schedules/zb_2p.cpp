#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/search.h"
#include "scheduler/schedules/zb_h.h"

namespace ds::pipeline {

// ZB-2p, arXiv 2401.10241 section 3: searched within twice 1f1b's memory.
absl::StatusOr<Schedule> zb_2p(const Request& request) {
  double limit = request.memory_limit > 0 ? request.memory_limit : 2.0 * request.stages;
  return search(request, Placement::loop, limit,
                {.seeds = {zb_handcrafted(request, 1), zb_handcrafted(request, 2)}, .orders = {}});
}

}  // namespace ds::pipeline

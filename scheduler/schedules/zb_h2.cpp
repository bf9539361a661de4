#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/zb_h.h"

namespace ds::pipeline {

// ZB-H2, arXiv 2401.10241 section 2.2: forwards fill the time until the first backward is there; bubble (p-1)(F+B-2W),
// memory 2p - 1.
absl::StatusOr<Schedule> zb_h2(const Request& request) { return zb_handcrafted(request, 2); }

}  // namespace ds::pipeline

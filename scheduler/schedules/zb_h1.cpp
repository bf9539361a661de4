#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/zb_h.h"

namespace ds::pipeline {

// ZB-H1, arXiv 2401.10241 section 2.1: 1f1b's order and memory; bubble (p-1)(F+B-W).
absl::StatusOr<Schedule> zb_h1(const Request& request) { return zb_handcrafted(request, 1); }

}  // namespace ds::pipeline

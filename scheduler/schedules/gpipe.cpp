#include "scheduler/schedules/generators.h"

namespace ds::pipeline {

// Huang et al., arXiv 1811.06965: every micro-batch forward, then every one backward.
absl::StatusOr<Schedule> gpipe(const Request& request) {
  Schedule schedule = blank(request);
  int m = request.micro_batches;
  for (List& list : schedule.lists) {
    for (int i = 0; i < m; ++i) list.push_back({Kind::forward, i});
    for (int i = 0; i < m; ++i) list.push_back({Kind::backward, i});
  }
  schedule.activation_limit.assign(request.stages, m);
  return schedule;
}

}  // namespace ds::pipeline

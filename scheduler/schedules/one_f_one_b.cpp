#include <algorithm>

#include "scheduler/schedules/generators.h"

namespace ds::pipeline {

// PipeDream-Flush, Narayanan et al., arXiv 2006.09503: stage s starts with p - s - 1 forwards, then takes one forward
// and one backward in turn, so it never holds more than p - s micro-batches.
absl::StatusOr<Schedule> one_f_one_b(const Request& request) {
  Schedule schedule = blank(request);
  int m = request.micro_batches;
  for (int s = 0; s < request.stages; ++s) {
    List& list = schedule.lists[s];
    int ahead = std::min(m, request.stages - s - 1), next = 0;
    while (next < ahead) list.push_back({Kind::forward, next++});
    for (int i = 0; i < m; ++i) {
      if (next < m) list.push_back({Kind::forward, next++});
      list.push_back({Kind::backward, i});
    }
    schedule.activation_limit.push_back(std::min(m, request.stages - s));
  }
  return schedule;
}

}  // namespace ds::pipeline

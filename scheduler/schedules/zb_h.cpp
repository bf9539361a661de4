#include "scheduler/schedules/zb_h.h"

#include <algorithm>

#include "scheduler/schedules/generators.h"

namespace ds::pipeline {

Schedule zb_handcrafted(const Request& request, int reach) {
  Schedule schedule = blank(request);
  int p = request.stages, m = request.micro_batches, most = reach * p - (reach - 1);
  for (int s = 0; s < p; ++s) {
    List& list = schedule.lists[s];
    int ahead = std::min(m, reach * (p - s) - (reach - 1)), next = 0, weights = 0;
    while (next < ahead) list.push_back({Kind::forward, next++});
    for (int i = 0; i < m; ++i) {
      list.push_back({Kind::input_gradient, i});
      if (next == m || i - weights >= reach * s) list.push_back({Kind::weight_gradient, weights++});
      if (next < m) list.push_back({Kind::forward, next++});
    }
    while (weights < m) list.push_back({Kind::weight_gradient, weights++});
    schedule.activation_limit.push_back(std::min(m, most));
  }
  return schedule;
}

}  // namespace ds::pipeline

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "scheduler/schedules/generators.h"

namespace ds::pipeline {

// Megatron-LM's interleaved 1f1b, arXiv 2104.04473 section 2.2: micro-batches go in groups of p, a group through all v
// chunks before the next group starts; stage s starts with 2(p - s - 1) + (v - 1)p forwards of single chunks.
absl::StatusOr<Schedule> interleaved(const Request& request) {
  int p = request.stages, m = request.micro_batches, v = request.chunks;
  if (m % p != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("[interleaved] micro_batches must be a multiple of stages (", p, "): got ", m));
  }
  Schedule schedule = blank(request);
  int total = m * v;
  auto turn = [&](int k, bool forward) {
    int group = k / (p * v), within = k % (p * v), chunk = within / p;
    return Operation{forward ? Kind::forward : Kind::backward, group * p + within % p, forward ? chunk : v - 1 - chunk};
  };
  for (int s = 0; s < p; ++s) {
    List& list = schedule.lists[s];
    int ahead = std::min(total, 2 * (p - s - 1) + (v - 1) * p), next = 0;
    while (next < ahead) list.push_back(turn(next++, true));
    for (int k = 0; k < total; ++k) {
      if (next < total) list.push_back(turn(next++, true));
      list.push_back(turn(k, false));
    }
    schedule.activation_limit.push_back(std::min(total, ahead + 1) / static_cast<double>(v));
  }
  return schedule;
}

}  // namespace ds::pipeline

#include "scheduler/schedules/search.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "scheduler/pipeline/simulate.h"
#include "scheduler/schedules/generators.h"

namespace ds::pipeline {
namespace {

std::vector<Policy> policies(int chunks) {
  std::vector<Policy> all;
  for (double patience : {1.0, 0.5, 0.0}) {
    for (double ahead : {0.0, 1.0, 2.0}) {
      for (bool alternate : {false, true}) {
        for (int deep = 0; deep < (chunks == 1 ? 1 : 4); ++deep) {
          all.push_back({patience, ahead, alternate, deep % 2 == 0, deep / 2 == 1});
        }
      }
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<Schedule> search(const Request& request, Placement placement, double limit,
                                std::vector<Schedule> seeds) {
  double least = 1;  // one micro-batch at a time
  if (limit < least) {
    return absl::InvalidArgumentError(absl::StrCat("memory_limit must be at least ", least, ": got ", limit));
  }
  Schedule best;
  double cost = 0;
  auto consider = [&](Schedule candidate) -> absl::Status {
    for (const List& list : candidate.lists) {
      if (list.size() != 3u * request.chunks * request.micro_batches) return absl::OkStatus();  // it got stuck
    }
    std::vector<double> peaks = peak_activations(candidate, request.costs);
    if (*std::max_element(peaks.begin(), peaks.end()) > limit + 1e-9) return absl::OkStatus();
    auto result = simulate(candidate, request.costs);
    if (!result.ok()) return result.status();
    if (best.lists.empty() || result->cost < cost) best = std::move(candidate), cost = result->cost;
    return absl::OkStatus();
  };
  for (Schedule& seed : seeds) {
    if (absl::Status fine = consider(std::move(seed)); !fine.ok()) return fine;
  }
  for (const Policy& policy : policies(request.chunks)) {
    if (absl::Status fine = consider(play_policy(request, placement, limit, policy)); !fine.ok()) return fine;
  }
  best.activation_limit.assign(request.stages, limit);
  best.counted = request.costs;
  return best;
}

}  // namespace ds::pipeline

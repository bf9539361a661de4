#include "scheduler/schedules/search.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "scheduler/pipeline/simulate.h"
#include "scheduler/schedules/generators.h"

namespace ds::pipeline {
namespace {

std::vector<Policy> policies(Placement placement) {
  std::vector<Policy> all;
  bool vee = placement == Placement::vee;
  for (double patience : {1.0, 0.5, 0.0}) {
    for (double reach : vee ? std::vector<double>{0.75, 1.0} : std::vector<double>{0, 1, 2}) {
      for (bool alternate : {false, true}) {
        Policy policy{.patience = patience, .alternate = alternate, .deep_backward = vee};
        (vee ? policy.reserve : policy.ahead) = reach;
        all.push_back(policy);
      }
    }
  }
  return all;
}

// Keeps the cheapest candidate that is whole and within the limit.
class Best {
 public:
  Best(const Request& request, double limit) : request_(request), limit_(limit) {}

  void offer(Schedule candidate) {
    for (const List& list : candidate.lists) {
      if (list.size() != 3u * request_.chunks * request_.micro_batches) return;  // it got stuck in too little memory
    }
    std::vector<double> peaks = peak_activations(candidate, request_.costs);
    if (*std::max_element(peaks.begin(), peaks.end()) > limit_ + 1e-9) return;
    auto result = simulate(candidate, request_.costs);
    if (result.ok() && (!found_ || result->cost < cost_)) found_ = std::move(candidate), cost_ = result->cost;
  }
  std::optional<Schedule> take() { return std::move(found_); }

 private:
  const Request& request_;
  double limit_;
  std::optional<Schedule> found_;
  double cost_ = 0;
};

}  // namespace

absl::StatusOr<Schedule> search(const Request& request, Placement placement, double limit, Candidates candidates) {
  Best best(request, limit);
  for (Schedule& seed : candidates.seeds) best.offer(std::move(seed));
  double round_trip = 0;
  for (int s = 0; s < request.stages; ++s) {
    const ChunkTimes& t = request.costs.at(s, 0, request.chunks);
    round_trip += t.forward + t.input_gradient;
  }
  for (const Schedule& order : candidates.orders) {
    for (double patience : {1.0, 0.5, 0.25, 0.0}) {
      for (double idle : {0.0, 0.25, 0.5}) {
        best.offer(refill(request, order, limit, {.patience = patience, .idle = idle * round_trip}));
      }
    }
  }
  for (const Policy& policy : policies(placement)) best.offer(play_policy(request, placement, limit, policy));
  std::optional<Schedule> found = best.take();
  if (!found) {
    return absl::InvalidArgumentError(
        absl::StrCat("memory_limit is too small for a micro-batch at every stage: got ", limit));
  }
  found->activation_limit.assign(request.stages, limit);
  found->counted = request.costs;
  return *std::move(found);
}

}  // namespace ds::pipeline

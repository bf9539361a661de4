#include "scheduler/schedules/vee.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "scheduler/pipeline/simulate.h"
#include "scheduler/schedules/generators.h"
#include "scheduler/schedules/search.h"

namespace ds::pipeline {
namespace {

constexpr int period = 6;  // F, B and W of two chunks

// When a stage starts F and F', B' and B of micro-batch 0, ' being the second chunk.
using Block = std::array<int, 4>;

std::vector<Block> blocks(int stages, const Steps& steps, const std::array<int, 3>& waits) {
  std::vector<Block> all(stages);
  int last = stages - 1, turn = last * steps[0], top = turn + waits[0] + last * steps[1];
  int bottom = top + waits[1] + last * steps[2];
  for (int s = 0; s < stages; ++s) {
    all[s] = {s * steps[0], turn + waits[0] + (last - s) * steps[1], top + waits[1] + s * steps[2],
              bottom + waits[2] + (last - s) * steps[3]};
  }
  return all;
}

bool collides(const std::vector<Block>& all) {
  return std::any_of(all.begin(), all.end(), [](const Block& block) {
    std::set<int> taken;
    for (int start : block) taken.insert(start % period);
    return taken.size() < block.size();
  });
}

std::optional<std::vector<Block>> shortest(int stages, const Steps& steps) {
  for (int sum = 3; sum <= 3 * period; ++sum) {
    for (int first = 1; first <= std::min(sum - 2, period); ++first) {
      for (int second = 1; second <= std::min(sum - first - 1, period); ++second) {
        auto all = blocks(stages, steps, {first, second, sum - first - second});
        if (!collides(all)) return all;
      }
    }
  }
  return std::nullopt;
}

// A stage's list: the block's pieces at their times, and weight gradients, oldest first, in the holes between them.
List in_order(const Block& block, int micro_batches) {
  static constexpr Operation pieces[4] = {
      {Kind::forward, 0, 0}, {Kind::forward, 0, 1}, {Kind::input_gradient, 0, 1}, {Kind::input_gradient, 0, 0}};
  std::map<int, Operation> timed;
  for (int i = 0; i < micro_batches; ++i) {
    for (int k = 0; k < 4; ++k) {
      Operation op = pieces[k];
      op.micro_batch = i;
      timed[block[k] + period * i] = op;
    }
  }
  List list, pending;
  size_t weights = 0;
  int hole = 0;
  for (const auto& [time, op] : timed) {
    for (; hole < time; ++hole) {
      if (weights < pending.size()) list.push_back(pending[weights++]);
    }
    hole = time + 1;
    list.push_back(op);
    if (op.kind == Kind::input_gradient) pending.push_back({Kind::weight_gradient, op.micro_batch, op.chunk});
  }
  list.insert(list.end(), pending.begin() + weights, pending.end());
  return list;
}

// The most a stage of these lists holds if every weight gradient followed its backward at once.
double most_in_flight(const std::vector<List>& lists) {
  int most = 0;
  for (const List& list : lists) {
    int held = 0;
    for (const Operation& op : list) {
      if (op.kind == Kind::weight_gradient) continue;
      most = std::max(most, held += op.kind == Kind::forward ? 1 : -1);
    }
  }
  return most / 2.0;
}

}  // namespace

absl::StatusOr<Schedule> repeat_block(const Request& request, const Steps& steps) {
  auto all = shortest(request.stages, steps);
  if (!all) return absl::InternalError(absl::StrCat("no block of a vee fits ", request.stages, " stages"));
  Schedule schedule = blank(request, Placement::vee);
  for (int s = 0; s < request.stages; ++s) schedule.lists[s] = in_order((*all)[s], request.micro_batches);
  // Weight gradients may also be placed by playing the block without its waits: often better, but where the memory
  // leaves no play between blocks worse. The cheapest wins; F = B = W in both.
  Request even = request;
  even.costs = Costs::even(2, 2, 2, 0, 2);
  auto best = simulate(schedule, even.costs);
  double least = most_in_flight(schedule.lists);
  for (double limit : {least, least + 0.5}) {
    Schedule other = refill(even, schedule, limit, {.patience = 1});
    auto result = simulate(other, even.costs);
    if (result.ok() && result->cost < best->cost) schedule = std::move(other), best = std::move(result);
  }
  schedule.activation_limit = peak_activations(schedule, {});
  return schedule;
}

}  // namespace ds::pipeline

// Walks a schedule's lists in an order in which every operation's input is there before it: the one walk behind the
// simulation and the checker's proof that nothing deadlocks.
#pragma once
#include <vector>

#include "absl/status/status.h"
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

// The index of a micro-batch at a position among the forwards, and with depth() * micro_batches added, the backwards.
inline int forward_slot(const Schedule& s, int position, int micro_batch) {
  return position * s.micro_batches + micro_batch;
}
inline int backward_slot(const Schedule& s, int position, int micro_batch) {
  return (s.depth() + position) * s.micro_batches + micro_batch;
}

// The slot whose result an operation reads, or -1: the forward before, the backward behind, at the model's end its own
// forward. A weight gradient reads what its own stage has left.
inline int input_slot(const Schedule& s, const Operation& op, int position) {
  if (op.kind == Kind::forward) return position == 0 ? -1 : forward_slot(s, position - 1, op.micro_batch);
  if (op.kind != Kind::backward && op.kind != Kind::input_gradient) return -1;
  return position + 1 == s.depth() ? forward_slot(s, position, op.micro_batch)
                                   : backward_slot(s, position + 1, op.micro_batch);
}

// The slot that an operation fills, or -1.
inline int output_slot(const Schedule& s, const Operation& op, int position) {
  if (op.kind == Kind::forward) return forward_slot(s, position, op.micro_batch);
  bool backward = op.kind == Kind::backward || op.kind == Kind::input_gradient;
  return backward ? backward_slot(s, position, op.micro_batch) : -1;
}

// The lists' fields lie in their ranges, so that slots can be counted.
absl::Status check_ranges(const Schedule& schedule);

// "stage 2 waits for F of micro-batch 3, chunk 0 (from stage 1)" where lists stand still; next[s] is stage s's next.
absl::Status deadlock(const Schedule& schedule, const std::vector<int>& next);

// Calls visit(stage, index, op, position, input, output) for every operation, each stage's in order, and only when
// `input` (a slot or -1) was filled by an earlier visit. Linear. FailedPrecondition where the lists cannot go on.
template <class Visit>
absl::Status play(const Schedule& schedule, Visit visit) {
  enum : int8_t { empty = 0, filled = 1 };
  std::vector<int8_t> state(2 * schedule.depth() * schedule.micro_batches, empty);
  std::vector<int> waiter(state.size(), -1), next(schedule.stages, 0), ready;
  for (int s = schedule.stages - 1; s >= 0; --s) ready.push_back(s);
  size_t left = 0;
  for (const List& list : schedule.lists) left += list.size();
  while (!ready.empty()) {
    int s = ready.back();
    ready.pop_back();
    const List& list = schedule.lists[s];
    for (int size = static_cast<int>(list.size()); next[s] < size; ++next[s], --left) {
      const Operation& op = list[next[s]];
      int position = schedule.position(s, op.chunk), input = input_slot(schedule, op, position);
      if (input >= 0 && state[input] == empty) {
        waiter[input] = s;
        break;
      }
      int output = output_slot(schedule, op, position);
      visit(s, next[s], op, position, input, output);
      if (output < 0) continue;
      state[output] = filled;
      if (waiter[output] >= 0) ready.push_back(waiter[output]);
    }
  }
  return left == 0 ? absl::OkStatus() : deadlock(schedule, next);
}

}  // namespace ds::pipeline

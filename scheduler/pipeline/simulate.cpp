#include "scheduler/pipeline/simulate.h"

#include <algorithm>
#include <limits>

#include "scheduler/pipeline/play.h"

namespace ds::pipeline {
namespace {

double duration(Kind kind, const ChunkTimes& t) {
  switch (kind) {
    case Kind::forward:
      return t.forward;
    case Kind::backward:
      return t.input_gradient + t.weight_gradient;
    case Kind::input_gradient:
      return t.input_gradient;
    case Kind::weight_gradient:
      return t.weight_gradient;
    default:
      return 0;
  }
}

// How much more a stage holds after the operation.
double held_after(Kind kind, double activation, double held_for_weights) {
  switch (kind) {
    case Kind::forward:
      return activation;
    case Kind::backward:
      return -activation;
    case Kind::input_gradient:
      return -(1 - held_for_weights) * activation;
    case Kind::weight_gradient:
      return -held_for_weights * activation;
    default:
      return 0;
  }
}

struct Clock {
  const Schedule& schedule;
  const Costs& costs;
  std::vector<double> done;  // by slot: when its result is on its own stage
  std::vector<double> free;  // by stage
  Result& result;

  // When the input of an operation is on its stage.
  double arrival(int stage, const Operation& op, int position, int input) const {
    if (input < 0) return 0;
    int from = schedule.stage_at(input / schedule.micro_batches % schedule.depth());
    bool wraps = from != stage && schedule.placement == Placement::loop && schedule.chunks > 1 &&
                 schedule.chunk_at(position) != schedule.chunk_at(input / schedule.micro_batches % schedule.depth());
    if (wraps && costs.wrap_waits_once && op.micro_batch % schedule.stages != 0) return 0;
    return done[input] + costs.edge(from, stage, schedule.stages);
  }

  // Without overlap the stage's own sending holds it.
  double sending(int stage, const Operation& op, int position) const {
    if (costs.overlapped) return 0;
    int to = op.kind == Kind::forward ? position + 1 : position - 1;
    bool talks = op.kind == Kind::forward || op.kind == Kind::backward || op.kind == Kind::input_gradient;
    if (!talks || to < 0 || to >= schedule.depth()) return 0;
    return costs.edge(stage, schedule.stage_at(to), schedule.stages);
  }

  Span run(int stage, const Operation& op, int position, int input, int output) {
    double takes = duration(op.kind, costs.at(stage, op.chunk, schedule.chunks));
    double start = std::max(free[stage], arrival(stage, op, position, input)), end = start + takes;
    if (output >= 0) done[output] = end;
    free[stage] = end + sending(stage, op, position);
    StageResult& own = result.stages[stage];
    own.first = std::min(own.first, start);
    own.last = free[stage];
    own.busy += takes;
    return {start, end};
  }
};

// Transfers lie beside the computation: from the writer's end to the reader's earliest start.
void place_transfers(const Schedule& schedule, const Costs& costs, const std::vector<double>& done, Result& result) {
  for (int s = 0; s < schedule.stages; ++s) {
    for (size_t i = 0; i < schedule.lists[s].size(); ++i) {
      const Operation& op = schedule.lists[s][i];
      if (op.peer < 0) continue;
      bool gradient = op.kind == Kind::send_gradient || op.kind == Kind::receive_gradient;
      bool sends = op.kind == Kind::send_activation || op.kind == Kind::send_gradient;
      int position = schedule.position(s, op.chunk) + (sends ? 0 : gradient ? 1 : -1);
      double start = done[gradient ? backward_slot(schedule, position, op.micro_batch)
                                   : forward_slot(schedule, position, op.micro_batch)];
      double takes = sends ? costs.edge(s, op.peer, schedule.stages) : costs.edge(op.peer, s, schedule.stages);
      result.spans[s][i] = {start, start + takes};
    }
  }
}

void conclude(Result& result) {
  double first = std::numeric_limits<double>::infinity(), last = 0, work = 0;
  for (StageResult& stage : result.stages) {
    first = std::min(first, stage.first);
    last = std::max(last, stage.last);
    work = std::max(work, stage.busy);
    result.cost = std::max(result.cost, stage.last - stage.first);
  }
  result.makespan = last - first;
  result.bubble = result.cost > 0 ? (result.cost - work) / result.cost : 0;
}

}  // namespace

std::vector<double> peak_activations(const Schedule& schedule, const Costs& costs) {
  std::vector<double> peaks(schedule.stages, 0);
  for (int s = 0; s < schedule.stages; ++s) {
    double held = 0;
    for (const Operation& op : schedule.lists[s]) {
      held += held_after(op.kind, costs.activation_of(s, op.chunk, schedule.chunks), costs.held_for_weights);
      peaks[s] = std::max(peaks[s], held);
    }
  }
  return peaks;
}

absl::StatusOr<Result> simulate(const Schedule& schedule, const Costs& costs, bool keep_spans) {
  if (absl::Status fine = check_ranges(schedule); !fine.ok()) return fine;
  if (absl::Status fine = costs.check(schedule.stages, schedule.chunks); !fine.ok()) return fine;
  Result result;
  result.stages.resize(schedule.stages);
  for (StageResult& stage : result.stages) stage.first = std::numeric_limits<double>::infinity();
  if (keep_spans) {
    result.spans.resize(schedule.stages);
    for (int s = 0; s < schedule.stages; ++s) result.spans[s].resize(schedule.lists[s].size());
  }
  Clock clock{schedule, costs, std::vector<double>(2 * schedule.depth() * schedule.micro_batches),
              std::vector<double>(schedule.stages), result};
  absl::Status played =
      play(schedule, [&](int stage, int index, const Operation& op, int position, int input, int output) {
        if (op.peer >= 0) return;
        Span span = clock.run(stage, op, position, input, output);
        if (keep_spans) result.spans[stage][index] = span;
      });
  if (!played.ok()) return played;
  if (keep_spans) place_transfers(schedule, costs, clock.done, result);
  std::vector<double> peaks = peak_activations(schedule, costs);
  for (int s = 0; s < schedule.stages; ++s) result.stages[s].peak_activation = peaks[s];
  conclude(result);
  return result;
}

}  // namespace ds::pipeline

// The discrete-event simulation of a pipeline schedule.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/pipeline/costs.h"
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

struct Span {
  double start = 0;
  double end = 0;
};

struct StageResult {
  double first = 0;            // when its first operation starts
  double last = 0;             // when its last one ends
  double busy = 0;             // time in F, B and W
  double peak_activation = 0;  // in activations of one micro-batch in all chunks of the stage
};

struct Result {
  double makespan = 0;  // from the first start to the last end
  // The most any stage takes from its own start to its own end: what an iteration costs when the next one may start
  // on the first stage before the last one is done (arXiv 2401.10241, section 5.3).
  double cost = 0;
  // (cost - work) / cost, work being the busiest stage's: as the Zero Bubble paper counts it.
  double bubble = 0;
  std::vector<StageResult> stages;
  std::vector<std::vector<Span>> spans;  // [stage][operation], only if asked for
};

// Plays the lists: an operation starts when its stage is free and its input is there. Lists with and without sends
// and receives give the same times. Linear in the number of operations (64 stages x 512 micro-batches: a few ms).
// FailedPrecondition for lists that cannot go on: "[1f1b] deadlock: stage 2 waits for ...".
// InvalidArgument for costs of the wrong length or negative ones.
absl::StatusOr<Result> simulate(const Schedule& schedule, const Costs& costs, bool keep_spans = false);

// Proves that the lists are legal: every stage has a list; every F, and every backward (whole, or one B and one W) of
// each micro-batch and chunk stands in it once, F before B before W; no deadlock, whatever the times; sends and
// receives, if there are any, pair up in the same order at both ends; the activations held never pass
// `activation_limit` (with all of them held until W). Says what is wrong and where.
absl::Status check(const Schedule& schedule);

// The most activations each stage holds at once: `held_for_weights` and `activation` of the costs apply.
std::vector<double> peak_activations(const Schedule& schedule, const Costs& costs);

// Exact cost (Result::cost) without playing a list, where a closed form is known: gpipe, 1f1b, interleaved, zb-h1 and
// zb-h2 of even stages (one entry in times and at most one in transfer). nullopt elsewhere.
std::optional<double> closed_form_cost(const std::string& schedule, const Request& request);

// No schedule of any name costs less than this: the busiest stage's work. A schedule that fuses B and W, or that holds
// at most `stages` micro-batches on its first stage, has higher bounds.
double lower_bound(const std::string& schedule, const Request& request);

}  // namespace ds::pipeline

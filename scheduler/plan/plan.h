// The planner: every layout of a model over a cluster that could be run, the fastest that fits, and why.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/plan/step.h"

namespace ds::plan {

// What a search may choose from. A field that is set is kept as it is.
struct Wish {
  std::optional<int> tensor, pipeline, data, context, zero, interleave, micro_batch;
  std::optional<Schedule> schedule;
  std::optional<Recompute> recompute;
  std::optional<bool> sequence_parallel;
};

struct SearchOptions {
  bool exhaustive = false;  // evaluates every candidate; else those that a bound cannot rule out, with the same answer
  int top = 5;              // layouts returned, the best counted
};

struct Candidate {
  Layout layout;
  Step step;
  std::string why;  // a runner-up's: what it loses by
};

struct Plan {
  Candidate best;
  std::vector<Memory> stages;  // of the best, by pipeline rank
  std::vector<Candidate> alternatives;
  std::vector<std::string> warnings;
  int64_t candidates = 0;  // layouts of the space
  int64_t evaluated = 0;   // whose time was computed
};

// No layout of the wish fits.
struct Infeasible {
  std::string reason;
  int stage = 0;
  double needed_bytes = 0, available_bytes = 0;
  std::optional<Layout> nearest;  // that fits; on more devices where none does on these
};

using Answer = std::variant<Plan, Infeasible>;

// Bytes a plan may use of a device.
double usable_bytes(const Device& device);

// Equal groups joined and the fastest first: two clusters of the same nodes plan alike.
Cluster normal(Cluster cluster);

// The fastest layouts of `model` over all devices of `cluster` that honour `wish`. InvalidArgument for a bad model,
// cluster or wish (`[plan] tensor_parallel 8 does not divide 7 devices`).
absl::StatusOr<Answer> search(const Cluster& cluster, const Transformer& model, const Wish& wish,
                              const SearchOptions& options = {});

// One layout as it stands: a Plan without alternatives, or Infeasible.
absl::StatusOr<Answer> evaluate(const Cluster& cluster, const Transformer& model, const Layout& layout);

}  // namespace ds::plan

// A study as pictures.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ds/v1/tune.pb.h"

namespace ds::client {

// The kinds of plot_study(), the first of which is the default.
//   history: the value of each trial in the order of their ends, and the best so far
//   parallel: one line a trial, over an axis a parameter and that of the objective
//   slice: the value over each parameter
//   pareto: the value over the number of parameters of the model, and the best for each size
std::vector<std::string> plot_kinds();

// SVG. Errors: InvalidArgument, no such kind; FailedPrecondition, no trial has what the picture shows.
absl::StatusOr<std::string> plot_study(const v1::Study& study, const std::vector<v1::Trial>& trials,
                                       const std::string& kind);

}  // namespace ds::client

// What each parameter matters, by the surrogate: Sobol indices of its posterior mean over the space.
#pragma once
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/autotune/study.h"

namespace ds::autotune {

struct Importance {
  std::string name;
  double main;   // share of the variance that is of this parameter alone: the first-order index
  double total;  // and of it with others
};

// Of a function over the space, as Saltelli et al. (2010) and Jansen (1999) estimate it from samples * (parameters + 2)
// values; every parameter even on its own scale, whatever the constraints, inactive ones without effect. Largest total
// first.
using Values = std::function<std::vector<double>(const std::vector<Point>&)>;
std::vector<Importance> importance(const Space& space, const Values& values, int samples = 1024, uint64_t seed = 0);

// Of the study's first measured objective. An error before three trials have ended with a value.
absl::StatusOr<std::vector<Importance>> importance(const Study& study);

}  // namespace ds::autotune

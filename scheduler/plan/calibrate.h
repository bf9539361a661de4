// A cluster's constants fitted to measured steps: what a coordinator does with its own machines.
#pragma once
#include <cstdint>
#include <vector>

#include "scheduler/plan/step.h"

namespace ds::plan {

struct Measured {
  Transformer model;
  Layout layout;
  int devices = 1;
  double seconds = 0;  // of a step
};

// `base` with the constants that software and cooling change (GEMM and streaming efficiency, the host's time a kernel
// and a step, the island's bandwidth) moved to where the mean relative error over `rows` is least, by coordinate
// descent from where they stand. Deterministic. All groups move alike.
Cluster calibrated(const Cluster& base, const std::vector<Measured>& rows);

double mean_relative_error(const Cluster& base, const std::vector<Measured>& rows);

// About `n / part` of 0 ... n-1, in order, the same for the same seed.
std::vector<size_t> random_part(size_t n, size_t part, uint64_t seed);

}  // namespace ds::plan

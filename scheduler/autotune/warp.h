// The output transforms themselves.
#pragma once
#include <vector>

#include <Eigen/Dense>

#include "scheduler/autotune/options.h"

namespace ds::autotune {

inline constexpr int kWarps = 3;

// Values to model, with mean 0 and deviation 1, and the logarithm of the derivative by the original, of each value of
// the better half (0 for the others): densities of different transforms compare there.
struct Warped {
  Eigen::VectorXd values, log_slope;
  std::vector<bool> better;  // the upper half
};

// y: more is better; at least one value.
//   standard   values below the lower quartile by three of its distances to the median are cut
//   half_rank  those below the median become normal quantiles of their rank (as in Vizier)
//   power      Yeo and Johnson (2000), with the likeliest exponent
Warped warp(Warp kind, const Eigen::VectorXd& y);

}  // namespace ds::autotune

// Expected improvement in logarithms, which a search can climb where the improvement itself is 0 to a double.
#pragma once

namespace ds::autotune {

inline constexpr double kLogRoot2Pi = 0.9189385332046727;

// log of E[max(f - best, 0)] for a standard score z = (mean - best) / deviation, in units of the deviation; and its
// derivative. Stable for any z (as LogEI of Ament et al. 2023).
double log_improvement(double z);
double log_improvement_slope(double z);

}  // namespace ds::autotune

#include "scheduler/autotune/improvement.h"

#include <cmath>

namespace ds::autotune {
namespace {

double log_normal_cdf(double z) {
  return z > -25 ? std::log(0.5 * std::erfc(-z / std::sqrt(2.0))) : -0.5 * z * z - kLogRoot2Pi - std::log(-z);
}

}  // namespace

double log_improvement(double z) {
  const double log_density = -0.5 * z * z - kLogRoot2Pi;
  if (z > -1) return std::log(std::exp(log_density) + z * 0.5 * std::erfc(-z / std::sqrt(2.0)));
  if (z < -1e3) return log_density - 2 * std::log(-z);
  if (z < -25) return log_density + std::log(1 / (z * z) - 3 / (z * z * z * z));  // the tail's own expansion
  return log_density + std::log1p(z * std::exp(log_normal_cdf(z) - log_density));
}

double log_improvement_slope(double z) {
  return z < -25 ? -z - 2 / z : std::exp(log_normal_cdf(z) - log_improvement(z));
}

}  // namespace ds::autotune

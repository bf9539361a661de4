#include "scheduler/autotune/warp.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace ds::autotune {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

double deviation(const VectorXd& y) { return std::sqrt((y.array() - y.mean()).square().mean()); }

double quantile(std::vector<double> sorted, double at) {
  const double place = at * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(place);
  const size_t j = std::min(i + 1, sorted.size() - 1);
  return sorted[i] + (place - static_cast<double>(i)) * (sorted[j] - sorted[i]);
}

// The normal quantile by bisection of erfc: exact enough, and called once a value of the worse half.
double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 50; ++i) {
    const double mid = (low + high) / 2;
    (0.5 * std::erfc(-mid / std::sqrt(2.0)) < p ? low : high) = mid;
  }
  return (low + high) / 2;
}

double yeo_johnson(double x, double power) {
  if (x >= 0) return std::abs(power) < 1e-9 ? std::log1p(x) : (std::pow(1 + x, power) - 1) / power;
  const double other = 2 - power;
  return std::abs(other) < 1e-9 ? -std::log1p(-x) : -(std::pow(1 - x, other) - 1) / other;
}

double log_slope(double x, double power) { return (x >= 0 ? power - 1 : 1 - power) * std::log1p(std::abs(x)); }

double likeliest_power(const VectorXd& x) {
  double best = 1, best_score = -1e300;
  for (double power = -1; power <= 3.01; power += 0.25) {
    const VectorXd z = x.unaryExpr([&](double v) { return yeo_johnson(v, power); });
    const double score = -static_cast<double>(x.size()) * std::log(std::max(deviation(z), 1e-12)) +
                         x.unaryExpr([&](double v) { return log_slope(v, power); }).sum() -
                         0.5 * (power - 1) * (power - 1);
    if (score > best_score) best = power, best_score = score;
  }
  return best;
}

VectorXd half_rank(const VectorXd& y, const std::vector<double>& sorted, double median) {
  double spread = 0;
  int above = 0;
  for (const double v : sorted)
    if (v >= median) spread += (v - median) * (v - median), ++above;
  spread = std::sqrt(spread / std::max(above, 1));
  if (spread <= 0) spread = 1;
  VectorXd out = y;
  for (Index i = 0; i < y.size(); ++i) {
    if (y[i] >= median) continue;
    const auto first = std::lower_bound(sorted.begin(), sorted.end(), y[i]) - sorted.begin();
    const auto last = std::upper_bound(sorted.begin(), sorted.end(), y[i]) - sorted.begin();
    const double rank = static_cast<double>(first + last) / 2 / static_cast<double>(sorted.size());
    out[i] = median + spread * normal_quantile(rank);
  }
  return out;
}

}  // namespace

Warped warp(Warp kind, const VectorXd& y) {
  std::vector<double> sorted(y.data(), y.data() + y.size());
  std::sort(sorted.begin(), sorted.end());
  const double median = quantile(sorted, 0.5), quartile = quantile(sorted, 0.25);
  Warped out{y, VectorXd::Zero(y.size()), std::vector<bool>(sorted.size())};
  for (Index i = 0; i < y.size(); ++i) out.better[static_cast<size_t>(i)] = y[i] >= median;
  const double floor = median - 4 * std::max(median - quartile, 1e-300);
  out.values = y.cwiseMax(median > quartile ? floor : sorted[0]);
  if (kind == Warp::half_rank) {
    out.values = half_rank(y, sorted, median);
  } else if (kind == Warp::power) {
    const double by = std::max(deviation(out.values), 1e-300);
    const VectorXd x = (out.values.array() - median) / by;
    const double power = likeliest_power(x);
    for (Index i = 0; i < y.size(); ++i) {
      out.values[i] = yeo_johnson(x[i], power);
      if (out.better[static_cast<size_t>(i)]) out.log_slope[i] = log_slope(x[i], power) - std::log(by);
    }
  }
  const double mean = out.values.mean(), by = deviation(out.values);
  const double unit = by > 1e-300 ? by : 1;
  out.values = (out.values.array() - mean) / unit;
  for (Index i = 0; i < y.size(); ++i)
    if (out.better[static_cast<size_t>(i)]) out.log_slope[i] -= std::log(unit);
  return out;
}

}  // namespace ds::autotune

#include "scheduler/autotune/hypervolume.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scheduler/autotune/improvement.h"

namespace ds::autotune {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();
constexpr double kEverything = std::numeric_limits<double>::infinity();

struct Part {  // log of an expectation, and its logarithm's derivatives
  double log = kNothing, by_mean = 0, by_deviation = 0;
};

// E[(x - floor)^+]
Part above(Normal x, double floor) {
  if (x.deviation == 0) return {.log = x.mean > floor ? std::log(x.mean - floor) : kNothing};
  const double z = (x.mean - floor) / x.deviation, log = log_improvement(z), by_z = log_improvement_slope(z);
  return {
      .log = std::log(x.deviation) + log, .by_mean = by_z / x.deviation, .by_deviation = (1 - z * by_z) / x.deviation};
}

// E[(min(x, ceiling) - floor)^+], the difference of two of the above.
Part between(Normal x, double floor, double ceiling) {
  const Part low = above(x, floor);
  if (ceiling == kEverything || low.log == kNothing) return low;
  const Part high = above(x, ceiling);
  if (high.log == kNothing) return low;
  const double ratio = std::exp(high.log - low.log), rest = 1 - ratio;
  if (!(rest > 1e-15)) return {};
  return {.log = low.log + std::log(rest),
          .by_mean = (low.by_mean - ratio * high.by_mean) / rest,
          .by_deviation = (low.by_deviation - ratio * high.by_deviation) / rest};
}

}  // namespace

size_t knee(const std::vector<Pair>& front) {
  const Pair from = front.front(), to = front.back();
  const double wide = to[0] - from[0], high = to[1] - from[1];
  if (wide == 0 || high == 0) return 0;
  size_t out = 0;
  double farthest = 0;
  for (size_t k = 0; k < front.size(); ++k) {
    const double off = std::abs((front[k][0] - from[0]) / wide - (front[k][1] - from[1]) / high);
    if (off > farthest) farthest = off, out = k;
  }
  return out;
}

Front::Front(const std::vector<Pair>& points, Pair reference) : reference_(reference) {
  std::vector<Pair> sorted = points;
  std::sort(sorted.begin(), sorted.end(), [](const Pair& a, const Pair& b) { return a > b; });
  double height = reference[1];
  for (const Pair& p : sorted) {  // from the right: what is higher than all to its right stays
    if (p[0] <= reference[0] || p[1] <= height) continue;
    height = p[1];
    points_.push_back(p);
  }
  std::reverse(points_.begin(), points_.end());
}

double Front::area() const {
  double left = reference_[0], out = 0;
  for (const Pair& p : points_) out += (p[0] - left) * (p[1] - reference_[1]), left = p[0];
  return out;
}

double Front::log_improvement(Normal u, Normal v, std::array<double, 4>* slope) const {
  double top = kNothing, sum = 0;
  if (slope) slope->fill(0);
  for (size_t k = 0; k <= points_.size(); ++k) {
    const bool last = k == points_.size();
    const Part wide = between(u, k == 0 ? reference_[0] : points_[k - 1][0], last ? kEverything : points_[k][0]);
    const Part high = above(v, last ? reference_[1] : points_[k][1]);
    const double term = wide.log + high.log;
    if (!(term > kNothing)) continue;
    const double shrink = top > term ? 1 : std::exp(top - term), share = top > term ? std::exp(term - top) : 1;
    sum = sum * shrink + share;
    top = std::max(top, term);
    if (!slope) continue;
    const std::array<double, 4> own = {wide.by_mean, wide.by_deviation, high.by_mean, high.by_deviation};
    for (size_t i = 0; i < own.size(); ++i) (*slope)[i] = (*slope)[i] * shrink + share * own[i];
  }
  if (sum == 0) return kNothing;
  if (slope)
    for (double& s : *slope) s /= sum;
  return top + std::log(sum);
}

}  // namespace ds::autotune

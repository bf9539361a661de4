#include "scheduler/autotune/local.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "scheduler/autotune/lbfgs.h"

namespace ds::autotune {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kSlopeIsFree = 1e3;  // how much cheaper a unit of slope is than one of curvature
constexpr int kClimbs = 3, kCalls = 30, kTellingTries = 64;
constexpr double kNowhere = 1e-9;

struct Quadratic {
  VectorXd slope;
  MatrixXd curvature;
  double value(const VectorXd& s, VectorXd* gradient) const {
    const VectorXd bent = curvature * s;
    *gradient = slope + bent;
    return slope.dot(s) + 0.5 * s.dot(bent);
  }
};

// The trials that count, nearest first: twice as many as the model has numbers.
std::vector<Index> nearest(const MatrixXd& steps, Index numbers) {
  std::vector<Index> order(static_cast<size_t>(steps.cols()));
  std::iota(order.begin(), order.end(), 0);
  const VectorXd far = steps.colwise().squaredNorm();
  std::sort(order.begin(), order.end(), [&](Index a, Index b) { return std::pair(far[a], a) < std::pair(far[b], b); });
  order.resize(std::min<size_t>(order.size(), static_cast<size_t>(2 * numbers)));
  return order;
}

// A step's features: those of the slope, made cheap, and those of the curvature.
VectorXd features(const VectorXd& s) {
  const Index d = s.size();
  VectorXd out(d + d * (d + 1) / 2);
  out.head(d) = kSlopeIsFree * s;
  for (Index a = 0, k = d; a < d; ++a)
    for (Index b = a; b < d; ++b, ++k) out[k] = s[a] * s[b] * (a == b ? 0.5 : std::sqrt(0.5));
  return out;
}

struct Rows {
  MatrixXd features;  // a row a trial that counts, times its weight
  VectorXd gains;
};

Rows rows_of(const MatrixXd& steps, const VectorXd& gains) {
  const Index numbers = steps.rows() + steps.rows() * (steps.rows() + 1) / 2;
  const std::vector<Index> used = nearest(steps, numbers);
  Rows out{MatrixXd(static_cast<Index>(used.size()), numbers), VectorXd(static_cast<Index>(used.size()))};
  for (Index i = 0; i < out.features.rows(); ++i) {
    const VectorXd s = steps.col(used[static_cast<size_t>(i)]);
    const double weight = 1 / std::pow(1 + s.norm(), 3);
    out.features.row(i) = weight * features(s).transpose();
    out.gains[i] = weight * gains[used[static_cast<size_t>(i)]];
  }
  return out;
}

Quadratic fit(const MatrixXd& steps, const VectorXd& gains) {
  const Rows rows = rows_of(steps, gains);
  const VectorXd found = rows.features.completeOrthogonalDecomposition().solve(rows.gains);
  const Index d = steps.rows();
  Quadratic out{kSlopeIsFree * found.head(d), MatrixXd(d, d)};
  for (Index a = 0, k = d; a < d; ++a)
    for (Index b = a; b < d; ++b, ++k)
      out.curvature(a, b) = out.curvature(b, a) = found[k] * (a == b ? 1 : std::sqrt(0.5));
  return out;
}

// The part of the box within the radius of the best point, and steps from there in units of the radius.
struct Region {
  VectorXd center, low, width;
  MatrixXd steps;
  VectorXd gains;
  Region(const Around& around, double radius) {
    Index best;
    const double top = around.values.maxCoeff(&best);
    center = around.points.col(best);
    low = (center.array() - radius).max(0);
    width = (center.array() + radius).min(1) - low.array();
    steps = (around.points.colwise() - center) / radius;
    gains = around.values.array() - top;
  }
};

bool enough(const Around& around) { return around.points.cols() >= around.points.rows() + 2; }

}  // namespace

std::optional<VectorXd> quadratic_step(const Around& around, double radius, Random& random) {
  if (!enough(around)) return std::nullopt;
  const Region region(around, radius);
  const Quadratic model = fit(region.steps, region.gains);
  const auto climb = [&](const VectorXd& place, VectorXd* gradient) {  // of a place in the region's own unit box
    const VectorXd at = region.low + region.width.cwiseProduct(place);
    const double value = model.value((at - region.center) / radius, gradient);
    *gradient = gradient->cwiseProduct(region.width) / radius;
    return value;
  };
  VectorXd top;
  double highest = 0;
  for (int start = 0; start < kClimbs; ++start) {
    VectorXd place = (region.center - region.low).cwiseQuotient(region.width.cwiseMax(1e-300));
    if (start > 0)
      for (double& p : place) p = random.uniform();
    const double value = maximize_in_box(climb, place, kCalls);
    if (value > highest) highest = value, top = region.low + region.width.cwiseProduct(place);
  }
  if (top.size() == 0 || (top - region.center).cwiseAbs().maxCoeff() < kNowhere) return std::nullopt;
  return top.cwiseMax(0).cwiseMin(1);
}

std::optional<VectorXd> telling_step(const Around& around, double radius, Random& random) {
  if (!enough(around)) return std::nullopt;
  const Region region(around, radius);
  const MatrixXd rows = rows_of(region.steps, region.gains).features;
  MatrixXd k = rows * rows.transpose();
  k.diagonal().array() += 1e-9 * k.trace();
  const Eigen::LLT<MatrixXd> known(k);
  VectorXd best;
  double most = -1;
  for (int tries = 0; tries < kTellingTries; ++tries) {
    VectorXd at = region.low;
    for (Index i = 0; i < at.size(); ++i) at[i] += region.width[i] * random.uniform();
    const VectorXd f = features((at - region.center) / radius), seen = rows * f;
    const double unknown = f.squaredNorm() - seen.dot(known.solve(seen));
    if (unknown > most) most = unknown, best = at;
  }
  return best;
}

}  // namespace ds::autotune

#include "scheduler/autotune/importance.h"

#include <algorithm>

#include <Eigen/Dense>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/sobol.h"

namespace ds::autotune {
namespace {

using Eigen::VectorXd;

constexpr int kFewest = 3;

// A place in the unit cube as a point: parents first, so that a child knows whether it is there.
Point point_at(const Space& space, const double* unit) {
  Point out(static_cast<size_t>(space.size()), kInactive);
  for (const int i : space.order()) {
    if (!space.active(i, out)) continue;
    const int levels = space.levels(i);
    const bool even = levels > 0 && space.parameter(i).scale == Scale::linear;
    out[static_cast<size_t>(i)] =
        even ? std::min(levels - 1, static_cast<int>(unit[i] * levels)) : space.at(i, unit[i]);
  }
  return out;
}

// Two independent samples of the cube: halves of one sequence of twice the dimensions.
struct Samples {
  std::vector<std::vector<double>> a, b;
};
Samples draw(int dimensions, int count, uint64_t seed) {
  Sobol sobol(2 * dimensions, seed);
  Samples out;
  for (int k = 0; k < count; ++k) {
    const std::vector<double> u = sobol.next();
    out.a.emplace_back(u.begin(), u.begin() + dimensions);
    out.b.emplace_back(u.begin() + dimensions, u.end());
  }
  return out;
}

VectorXd values_at(const Space& space, const Values& values, const std::vector<std::vector<double>>& units) {
  std::vector<Point> points;
  for (const std::vector<double>& unit : units) points.push_back(point_at(space, unit.data()));
  const std::vector<double> out = values(points);
  return Eigen::Map<const VectorXd>(out.data(), static_cast<Eigen::Index>(out.size()));
}

}  // namespace

std::vector<Importance> importance(const Space& space, const Values& values, int samples, uint64_t seed) {
  const Samples s = draw(space.size(), samples, seed);
  VectorXd at_a = values_at(space, values, s.a), at_b = values_at(space, values, s.b);
  const double mean = (at_a.mean() + at_b.mean()) / 2;
  at_a.array() -= mean;
  at_b.array() -= mean;
  const double variance = (at_a.squaredNorm() + at_b.squaredNorm()) / (2.0 * samples);
  std::vector<Importance> out;
  for (int i = 0; i < space.size(); ++i) {
    std::vector<std::vector<double>> mixed = s.a;  // with this one coordinate of b
    for (size_t k = 0; k < mixed.size(); ++k) mixed[k][static_cast<size_t>(i)] = s.b[k][static_cast<size_t>(i)];
    const VectorXd at_mixed = values_at(space, values, mixed).array() - mean;
    Importance& p = out.emplace_back(Importance{space.parameter(i).name, 0, 0});
    if (!(variance > 0)) continue;
    p.main = std::clamp(at_b.dot(at_mixed - at_a) / samples / variance, 0.0, 1.0);
    p.total = std::clamp((at_a - at_mixed).squaredNorm() / (2.0 * samples) / variance, p.main, 1.0);
  }
  std::stable_sort(out.begin(), out.end(), [](const Importance& a, const Importance& b) { return a.total > b.total; });
  return out;
}

absl::StatusOr<std::vector<Importance>> importance(const Study& study) {
  const auto ended =
      std::count_if(study.trials().begin(), study.trials().end(), [](const Trial& t) { return !t.values.empty(); });
  if (ended < kFewest)
    return absl::FailedPreconditionError(
        absl::StrFormat("[autotune] importance needs %d trials that ended with a value, there are %d", kFewest, ended));
  return importance(study.space(), [&](const std::vector<Point>& points) { return study.means_at(points); });
}

}  // namespace ds::autotune

#include "scheduler/autotune/joint.h"

#include <algorithm>
#include <cmath>

namespace ds::autotune {
namespace {

constexpr double kBeyond = 0.1;  // how far behind the worst trial the reference lies, as a share of the range

MatrixXd encode(const Surrogate& model, const std::vector<Point>& points) {
  return model.kernel().layout().encode(model.space(), points);
}

double log_sum(const std::vector<double>& logs) {
  const double top = *std::max_element(logs.begin(), logs.end());
  if (!std::isfinite(top)) return top;
  double sum = 0;
  for (const double l : logs) sum += std::exp(l - top);
  return top + std::log(sum);
}

double reference(const VectorXd& values) {
  const double low = values.minCoeff(), range = values.maxCoeff() - low;
  return low - std::max(kBeyond * range, 1e-9 * std::max(1.0, std::abs(low)));
}

}  // namespace

JointImprovement::JointImprovement(Side first, Side second, const std::vector<Point>& points)
    : sides_{std::move(first), std::move(second)} {
  for (size_t s = 0; s < 2; ++s) {
    if (!sides_[s].model) continue;
    chains_[s] = sides_[s].model->views();
    std::stable_sort(chains_[s].begin(), chains_[s].end(),
                     [](const auto& a, const auto& b) { return a.weight > b.weight; });
  }
  couple(points);
}

VectorXd JointImprovement::fitted(size_t side, size_t chain, const std::vector<Point>& points) const {
  if (sides_[side].model) return chains_[side][chain].gp->fitted();
  VectorXd out(static_cast<Eigen::Index>(points.size()));
  for (size_t i = 0; i < points.size(); ++i) out[static_cast<Eigen::Index>(i)] = sides_[side].value(points[i]);
  return out;
}

void JointImprovement::couple(const std::vector<Point>& points) {
  const auto left = [&](size_t s, size_t k) { return chains_[s].empty() ? 1.0 : chains_[s][k].weight; };
  std::array<size_t, 2> at = {0, 0};
  std::array<double, 2> rest = {left(0, 0), left(1, 0)};
  while (true) {
    const VectorXd a = fitted(0, at[0], points), b = fitted(1, at[1], points);
    std::vector<Pair> both;
    for (Eigen::Index i = 0; i < a.size(); ++i) both.push_back({a[i], b[i]});
    const double weight = std::min(rest[0], rest[1]);
    couples_.push_back({weight, at, Front(both, {reference(a), reference(b)})});
    bool more = false;
    for (size_t s = 0; s < 2; ++s) {
      rest[s] -= weight;
      if (rest[s] > 1e-12 || at[s] + 1 >= chains_[s].size()) continue;
      rest[s] = left(s, ++at[s]);
      more = true;
    }
    if (!more) return;
  }
}

VectorXd JointImprovement::value(const std::vector<Point>& points) const {
  std::array<std::vector<Prediction>, 2> seen;
  std::array<VectorXd, 2> known;
  for (size_t s = 0; s < 2; ++s) {
    if (!sides_[s].model) {
      known[s] = fitted(s, 0, points);
      continue;
    }
    const MatrixXd x = encode(*sides_[s].model, points);
    for (const Surrogate::View& v : chains_[s]) seen[s].push_back(v.gp->predict(x));
  }
  VectorXd out(static_cast<Eigen::Index>(points.size()));
  std::vector<double> logs(couples_.size());
  for (Eigen::Index j = 0; j < out.size(); ++j) {
    const auto normal = [&](size_t s, const Couple& c) -> Normal {
      if (!sides_[s].model) return {known[s][j], 0};
      const Prediction& p = seen[s][c.chain[s]];
      return {p.mean[j], std::sqrt(p.variance[j])};
    };
    for (size_t k = 0; k < couples_.size(); ++k) {
      const Couple& c = couples_[k];
      logs[k] = std::log(c.weight) + c.front.log_improvement(normal(0, c), normal(1, c));
    }
    out[j] = log_sum(logs);
  }
  return out;
}

double JointImprovement::value(const Point& point, VectorXd* slope) const {
  struct At {
    Normal normal;
    VectorXd mean_slope, deviation_slope;
  };
  std::array<std::vector<At>, 2> seen;
  Eigen::Index size = 0;
  for (size_t s = 0; s < 2; ++s) {
    if (!sides_[s].model) {
      seen[s].push_back({{sides_[s].value(point), 0}, {}, {}});
      continue;
    }
    size = sides_[s].model->space().size();
    const VectorXd x = sides_[s].model->encode(point);
    for (const Surrogate::View& v : chains_[s]) {
      At at;
      double variance;
      v.gp->predict(x, &at.normal.mean, &variance, &at.mean_slope, &at.deviation_slope);
      at.normal.deviation = std::sqrt(variance);
      at.deviation_slope /= 2 * at.normal.deviation;
      seen[s].push_back(std::move(at));
    }
  }
  std::vector<double> logs;
  std::vector<VectorXd> slopes;
  for (const Couple& c : couples_) {
    std::array<double, 4> by;
    const At &u = seen[0][c.chain[0]], &v = seen[1][c.chain[1]];
    logs.push_back(std::log(c.weight) + c.front.log_improvement(u.normal, v.normal, &by));
    slopes.push_back(VectorXd::Zero(size));
    if (u.normal.deviation > 0) slopes.back() += by[0] * u.mean_slope + by[1] * u.deviation_slope;
    if (v.normal.deviation > 0) slopes.back() += by[2] * v.mean_slope + by[3] * v.deviation_slope;
  }
  const double out = log_sum(logs);
  slope->setZero(size);
  if (!std::isfinite(out)) return out;
  for (size_t k = 0; k < logs.size(); ++k)
    if (const double share = std::exp(logs[k] - out); share > 0) *slope += share * slopes[k];
  return out;
}

}  // namespace ds::autotune

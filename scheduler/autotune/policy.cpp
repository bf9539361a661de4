#include "scheduler/autotune/policy.h"

#include <algorithm>
#include <numeric>

namespace ds::autotune {
namespace {

constexpr int kBins = 10, kMostBins = 32, kStartElites = 8;
constexpr double kRate = 2;

}  // namespace

Policy::Policy(const Space& space, const std::vector<Point>& elites) : space_(&space) {
  const size_t used = std::min<size_t>(kStartElites, elites.size());
  for (int i = 0; i < space.size(); ++i) {
    const int levels = space.levels(i);
    const int bins = levels > 0 && levels <= kMostBins ? levels : kBins;
    Eigen::VectorXd counts = Eigen::VectorXd::Constant(bins, 4.0 / bins);
    logits_.push_back(counts);
    for (size_t e = 0; e < used; ++e)
      if (const double c = elites[e][static_cast<size_t>(i)]; c != kInactive) counts[bin(i, c)] += 1;
    logits_.back() = counts.array().log();
  }
}

int Policy::bin(int parameter, double coordinate) const {
  const auto bins = static_cast<int>(logits_[static_cast<size_t>(parameter)].size());
  if (bins == space_->levels(parameter)) return static_cast<int>(coordinate);
  return std::min(bins - 1, static_cast<int>(space_->unit(parameter, coordinate) * bins));
}

Eigen::VectorXd Policy::softmax(int parameter) const {
  const Eigen::VectorXd& l = logits_[static_cast<size_t>(parameter)];
  const Eigen::VectorXd e = (l.array() - l.maxCoeff()).exp();
  return e / e.sum();
}

Point Policy::sample(Random& random) const {
  Point point(logits_.size(), kInactive);
  for (const int i : space_->order()) {
    if (!space_->active(i, point)) continue;
    const Eigen::VectorXd p = softmax(i);
    double left = random.uniform();
    int k = 0;
    while (k + 1 < p.size() && (left -= p[k]) >= 0) ++k;
    point[static_cast<size_t>(i)] =
        p.size() == space_->levels(i) ? k : space_->at(i, (k + random.uniform()) / static_cast<double>(p.size()));
  }
  return point;
}

void Policy::learn(const std::vector<Point>& points, const Eigen::VectorXd& rewards) {
  const auto n = static_cast<int>(points.size());
  if (n < 2) return;
  std::vector<int> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return rewards[a] < rewards[b]; });
  for (int i = 0; i < space_->size(); ++i) {
    const Eigen::VectorXd p = softmax(i);
    Eigen::VectorXd gradient = Eigen::VectorXd::Zero(p.size());
    for (int rank = 0; rank < n; ++rank) {
      const double c = points[static_cast<size_t>(order[static_cast<size_t>(rank)])][static_cast<size_t>(i)];
      if (c == kInactive) continue;
      const double share = (rank + 0.5) / n, advantage = std::pow(share, 4) - 0.2;  // the mean of share^4 is 1/5
      gradient -= advantage * p;
      gradient[bin(i, c)] += advantage;
    }
    logits_[static_cast<size_t>(i)] += kRate * static_cast<double>(p.size()) / n * gradient;
  }
}

}  // namespace ds::autotune

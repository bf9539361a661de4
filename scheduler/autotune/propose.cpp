#include "scheduler/autotune/propose.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "scheduler/autotune/lbfgs.h"
#include "scheduler/autotune/policy.h"
#include "scheduler/autotune/sobol.h"

namespace ds::autotune {
namespace {

constexpr int kAllNeighbours = 16;  // levels up to which each is a neighbour

// One to three parameters of a good trial are drawn anew, numbers mostly nearby.
Point mutate(const Space& space, const Point& parent, Random& random) {
  Point out = parent;
  std::vector<int> active;
  for (int i = 0; i < space.size(); ++i)
    if (out[static_cast<size_t>(i)] != kInactive) active.push_back(i);
  const int changes = 1 + random.below(3);
  for (int k = 0; k < changes; ++k) {
    const int i = active[static_cast<size_t>(random.below(static_cast<int>(active.size())))];
    double& c = out[static_cast<size_t>(i)];
    if (space.parameter(i).kind == Kind::categorical) {
      c = random.below(space.levels(i));
    } else {
      const double spread = random.uniform() < 0.3 ? 0.5 : random.uniform() < 0.5 ? 0.1 : 0.02;
      const double step = spread * random.normal(), unit = space.unit(i, c == kInactive ? 0 : c) + step;
      const double moved = space.at(i, unit - 2 * std::max(0.0, unit - 1) + 2 * std::max(0.0, -unit));
      c = moved != c || space.levels(i) < 2 ? moved : std::clamp(c + (step > 0 ? 1 : -1), 0.0, space.levels(i) - 1.0);
    }
  }
  space.settle(out, random);
  return out;
}

// Numbers by their slope, all others fixed.
double climb(const Space& space, const Acquisition& acquisition, Point& point) {
  std::vector<int> free;
  for (int i = 0; i < space.size(); ++i)
    if (point[static_cast<size_t>(i)] != kInactive && space.levels(i) == 0) free.push_back(i);
  VectorXd slope, x(static_cast<Eigen::Index>(free.size()));
  if (free.empty()) return acquisition.with_slope(point, &slope);
  for (size_t k = 0; k < free.size(); ++k) x[static_cast<Eigen::Index>(k)] = point[static_cast<size_t>(free[k])];
  const auto place = [&](const VectorXd& at) {
    Point out = point;
    for (size_t k = 0; k < free.size(); ++k) out[static_cast<size_t>(free[k])] = at[static_cast<Eigen::Index>(k)];
    return out;
  };
  const double value = maximize_in_box(
      [&](const VectorXd& at, VectorXd* gradient) {
        const double v = acquisition.with_slope(place(at), &slope);
        for (size_t k = 0; k < free.size(); ++k) (*gradient)[static_cast<Eigen::Index>(k)] = slope[free[k]];
        return v;
      },
      x, 12);
  point = place(x);
  return value;
}

struct Candidates {
  std::vector<Point> points;
  std::vector<const char*> sources;
  std::set<Point> seen;
  void add(Point point, const char* source, const Acquisition& acquisition) {
    if (!acquisition.allowed(point) || !seen.insert(point).second) return;
    points.push_back(std::move(point));
    sources.push_back(source);
  }
};

void refine(const Space& space, const Acquisition& acquisition, const ProposeOptions& options, Random& random,
            Proposal& best) {
  for (int round = 0; round < options.rounds; ++round) {
    const double before = best.value;
    if (acquisition.with_slope) {
      Point moved = best.point;
      const double value = climb(space, acquisition, moved);
      if (value > best.value && acquisition.allowed(moved)) best.point = moved, best.value = value;
    }
    std::vector<Point> near;
    for (Point& p : neighbours(space, best.point, random))
      if (acquisition.allowed(p)) near.push_back(std::move(p));
    if (!near.empty()) {
      Eigen::Index at = 0;
      const double value = acquisition.value(near).maxCoeff(&at);
      if (value > best.value) best.point = near[static_cast<size_t>(at)], best.value = value;
    }
    if (best.value <= before + 1e-9) return;
  }
}

}  // namespace

std::vector<Point> neighbours(const Space& space, const Point& point, Random& random) {
  std::vector<Point> out;
  for (int i = 0; i < space.size(); ++i) {
    const double c = point[static_cast<size_t>(i)];
    const int levels = space.levels(i);
    if (c == kInactive || levels < 2) continue;
    std::set<int> to;
    if (levels <= kAllNeighbours) {
      for (int l = 0; l < levels; ++l) to.insert(l);
    } else {
      for (const int step : {1, 2, 4})
        to.insert({std::max(0, static_cast<int>(c) - step), std::min(levels - 1, static_cast<int>(c) + step)});
      for (int k = 0; k < 4; ++k) to.insert(random.below(levels));
    }
    to.erase(static_cast<int>(c));
    for (const int level : to) {
      out.push_back(point);
      out.back()[static_cast<size_t>(i)] = level;
      space.settle(out.back(), random);
    }
  }
  return out;
}

std::optional<Proposal> propose(const Space& space, const Acquisition& acquisition, const std::vector<Point>& elites,
                                const ProposeOptions& options, Random& random) {
  Candidates pool;
  Sobol sobol(space.size(), random.next());
  for (int k = 0; k < options.spread; ++k) pool.add(sobol.point(space, random), "spread", acquisition);
  for (int k = 0; k < options.mutants && !elites.empty(); ++k) {
    const double skew = random.uniform() * random.uniform();
    const auto which = static_cast<size_t>(skew * static_cast<double>(elites.size()));
    pool.add(mutate(space, elites[which], random), "mutant", acquisition);
  }
  for (int k = 0; pool.points.empty() && k < 20000; ++k) pool.add(space.sample(random), "spread", acquisition);
  if (pool.points.empty()) return std::nullopt;
  VectorXd values = acquisition.value(pool.points);
  if (options.policy_rounds > 0) {
    Policy policy(space, elites);
    for (int round = 0; round < options.policy_rounds; ++round) {
      const size_t first = pool.points.size();
      for (int k = 0; k < options.rollouts; ++k) pool.add(policy.sample(random), "policy", acquisition);
      const std::vector<Point> fresh(pool.points.begin() + static_cast<long>(first), pool.points.end());
      if (fresh.empty()) break;
      const VectorXd rewards = acquisition.value(fresh);
      policy.learn(fresh, rewards);
      values.conservativeResize(values.size() + rewards.size());
      values.tail(rewards.size()) = rewards;
    }
  }
  std::vector<int> order(pool.points.size());
  std::iota(order.begin(), order.end(), 0);
  const int top = std::min<int>(options.refined, static_cast<int>(order.size()));
  std::partial_sort(order.begin(), order.begin() + top, order.end(),
                    [&](int a, int b) { return values[a] > values[b]; });
  std::optional<Proposal> best;
  for (int k = 0; k < top; ++k) {
    const auto c = static_cast<size_t>(order[static_cast<size_t>(k)]);
    Proposal start{pool.points[c], values[order[static_cast<size_t>(k)]], pool.sources[c]};
    refine(space, acquisition, options, random, start);
    if (!best || start.value > best->value) best = std::move(start);
  }
  return best;
}

}  // namespace ds::autotune

#include "scheduler/autotune/learnt.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ds::autotune {
namespace {

constexpr double kCaution = 1000;  // how steeply points that may fail are shunned
constexpr double kHopeless = -50;  // of log EI: a certain surrogate has no bound, and would outweigh any caution
constexpr double kNudge = 1e-5;    // of a place, for the slope of the chance to end with a value

SurrogateOptions one_chain_of_labels() {
  SurrogateOptions out;
  out.warps = {Warp::standard};
  out.noise_deviation = 0.3;  // labels are nearly certain: else all of them may pass for noise
  return out;
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

double caution(double chance, double demanded) {
  return std::log(chance + 1e-12) - kCaution * std::max(0.0, demanded - chance);
}

}  // namespace

Study::Learnt::Learnt(std::shared_ptr<const Space> shared, const StudyOptions& options)
    : space(std::move(shared)), feasible(space, one_chain_of_labels(), options.seed ^ 0xfea51b1e) {
  while (options.objectives[main_].known) ++main_;
  for (const Objective& o : options.objectives) {
    goals.push_back({o.maximize ? 1.0 : -1.0, o.known, std::nullopt});
    if (!o.known) goals.back().model.emplace(space, options.surrogate, options.seed + 7919 * (goals.size() - 1));
  }
}

void Study::Learnt::told(const Point& point, const std::vector<double>& measured, double deviation) {
  size_t next = 0;
  for (Goal& goal : goals) {
    if (!goal.model) continue;
    goal.model->add(point, goal.sign * measured[next], next == 0 ? deviation : 0);
    ++next;
  }
  ++runs[point];
  if (failures) feasible.add(point, 1);
}

void Study::Learnt::revised(const std::map<int, Forecast>& ends) {
  Goal& goal = goals[main_];
  std::map<int, Surrogate::Outcome> out;
  for (const auto& [row, end] : ends) out[row] = {goal.sign * end.value, end.deviation};
  goal.model->revise(out);
}

void Study::Learnt::failed(const Point& point) {
  ++hopeless[point];
  if (!failures)  // from the first failure on; before, all were feasible
    for (const auto& [done, count] : runs) feasible.add(done, 1);
  failures = true;
  feasible.add(point, 0);
}

VectorXd Study::Learnt::means(const Goal& goal) const {
  if (goal.model) return goal.model->means();
  VectorXd out(first().size());
  for (Eigen::Index i = 0; i < out.size(); ++i) out[i] = exact(goal, points()[static_cast<size_t>(i)]);
  return out;
}

std::vector<Point> Study::Learnt::elites(size_t most) const {
  std::vector<Point> out;
  for (const Goal& goal : goals) {
    const VectorXd values = means(goal);
    std::vector<int> order(points().size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
    const size_t until = out.size() + most / goals.size();
    for (const int i : order) {
      const Point& p = points()[static_cast<size_t>(i)];
      if (out.size() < until && std::find(out.begin(), out.end(), p) == out.end()) out.push_back(p);
    }
  }
  return out;
}

VectorXd Study::Learnt::chance(const std::vector<Point>& at) const {
  const Prediction p = feasible.predict(feasible.kernel().layout().encode(*space, at));
  VectorXd out(p.mean.size());
  for (Eigen::Index j = 0; j < out.size(); ++j)
    out[j] = normal_cdf((p.mean[j] - 0.5) / std::sqrt(p.variance[j] + 0.02));
  return out;
}

Acquisition Study::Learnt::promise(const std::vector<Point>& pending, double demanded, double boldness,
                                   Random& random) const {
  auto models = std::make_shared<std::vector<Surrogate>>();
  models->reserve(goals.size());
  std::array<Side, 2> sides;
  std::vector<Point> seen = points();
  seen.insert(seen.end(), pending.begin(), pending.end());
  for (size_t k = 0; k < goals.size(); ++k) {
    if (goals[k].model)
      sides[k].model = &models->emplace_back(goals[k].model->with_pending(pending, boldness, random));
    else
      sides[k].value = [this, &goal = goals[k]](const Point& p) { return exact(goal, p); };
  }
  std::shared_ptr<const JointImprovement> joint;
  if (goals.size() == 2) joint = std::make_shared<JointImprovement>(sides[0], sides[1], seen);

  Acquisition out;
  out.value = [this, models, joint, demanded](const std::vector<Point>& at) {
    VectorXd values =
        joint ? joint->value(at) : models->front().log_ei(models->front().kernel().layout().encode(*space, at));
    if (!failures) return values;
    const VectorXd chances = chance(at);
    for (Eigen::Index j = 0; j < values.size(); ++j)
      values[j] = std::max(values[j], kHopeless) + caution(chances[j], demanded);
    return values;
  };
  out.with_slope = [this, models, joint, demanded](const Point& at, VectorXd* slope) {
    const double value =
        joint ? joint->value(at, slope) : models->front().log_ei(VectorXd(models->front().encode(at)), slope);
    if (!failures) return value;
    if (value < kHopeless) slope->setZero();
    std::vector<Point> near = {at};  // and each number a little further in
    for (int i = 0; i < space->size(); ++i) {
      near.push_back(at);
      double& c = near.back()[static_cast<size_t>(i)];
      if (space->levels(i) == 0 && c != kInactive) c += c > 0.5 ? -kNudge : kNudge;
    }
    const VectorXd chances = chance(near);
    const double own = caution(chances[0], demanded);
    for (int i = 0; i < space->size(); ++i) {
      const double moved = near[static_cast<size_t>(i) + 1][static_cast<size_t>(i)] - at[static_cast<size_t>(i)];
      if (moved != 0) (*slope)[i] += (caution(chances[i + 1], demanded) - own) / moved;
    }
    return std::max(value, kHopeless) + own;
  };
  return out;
}

}  // namespace ds::autotune

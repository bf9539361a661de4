// What a study advises: whom to stop, what to finish and what to use.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/learnt.h"
#include "scheduler/autotune/stopping.h"

namespace ds::autotune {
namespace {

constexpr const char* kNoValue = "[autotune] no trial has ended with a value";
constexpr double kDoubt = 0.5;   // deviations taken off the mean of what is recommended
constexpr double kOwn = 0.4;     // of the variance that the model takes for noise, a point's own
constexpr double kFaint = 0.01;  // chance to lead below which a trial is stopped
constexpr double kWorth = 0.4;   // above which a stopped one is finished

// What each trial's point brings. What the model leaves unexplained is not all noise: it does not resolve what a point
// has for itself, of which the point's own runs tell the more, the more they are.
VectorXd own_means(const Surrogate& s, const VectorXd& means) {
  std::map<Point, std::pair<double, double>> rest;  // sum over the runs of a point, and their number
  for (int i = 0; i < s.size(); ++i) {
    auto& [sum, runs] = rest[s.points()[static_cast<size_t>(i)]];
    if (!s.guessed(i)) sum += s.observed()[i] - means[i], ++runs;
  }
  VectorXd out = means;
  for (int i = 0; i < s.size(); ++i) {
    const auto& [sum, runs] = rest.at(s.points()[static_cast<size_t>(i)]);
    if (runs > 0) out[i] += kOwn * sum / (1 + kOwn * (runs - 1));
  }
  return out;
}

}  // namespace

// The last step of the trials that ran to their end.
int64_t Study::whole_steps() const {
  int64_t out = 0;
  for (const Trial& t : trials_)
    if (t.state == Trial::finished && !t.curve.empty()) out = std::max(out, t.curve.back().first);
  return out;
}

absl::StatusOr<bool> Study::should_stop(int64_t trial) const {
  const auto found = by_id_.find(trial);
  if (found == by_id_.end())
    return absl::InvalidArgumentError(absl::StrFormat("[autotune] trial %d: there is none", trial));
  const Trial& own = trials_[found->second];
  if (!options_.stopping || learnt_->measured() > 1 || own.state != Trial::running || own.resumed) return false;
  if (static_cast<int64_t>(own.curve.size()) < std::max<int64_t>(options_.least_steps, 1)) return false;
  if (own.curve.back().first >= whole_steps()) return false;
  const std::vector<Trial> others = rivals(own);
  return hopeless(others, own, learnt_->main().sign > 0, options_.least_steps) ||
         chance_to_lead(others, own).value_or(1) < kFaint;
}

// The chance that a trial ends better than the best of the others did, by its reports and the model: two guesses of its
// end, weighted by how narrow they are. Nothing where its reports tell nothing yet.
std::optional<double> Study::chance_to_lead(const std::vector<Trial>& others, const Trial& own) const {
  const std::optional<Forecast> end = forecast(others, own);
  if (!end) return std::nullopt;
  const Surrogate& s = learnt_->first();
  const double sign = learnt_->main().sign;
  double best = -std::numeric_limits<double>::infinity();
  for (const Trial& t : others)
    if (t.state == Trial::finished) best = std::max(best, sign * t.values[0]);
  const Prediction model = s.predict(s.encode(own.point), true);
  const double trust = model.variance[0] / (model.variance[0] + end->deviation * end->deviation);
  const double mean = model.mean[0] + trust * (sign * end->value - model.mean[0]);
  return 0.5 * std::erfc((best - mean) / std::sqrt(2 * (1 - trust) * model.variance[0]));
}

std::optional<int64_t> Study::to_finish() const {
  std::optional<int64_t> out;
  if (learnt_->measured() > 1) return out;
  double most = kWorth;
  for (const Trial& t : trials_) {
    if (t.state != Trial::paused) continue;
    const double chance = chance_to_lead(rivals(t), t).value_or(0);
    if (chance > most) most = chance, out = t.id;
  }
  return out;
}

// The trials that decide whether one is hopeless, with the measured objective's values. Where the other objective is
// known, those that are no worse in it: unless one of them is better, the trial is of the front.
std::vector<Trial> Study::rivals(const Trial& own) const {
  const auto& goals = learnt_->goals;
  if (goals.size() == 1) return trials_;
  const size_t known = goals[0].model ? 1 : 0;
  const auto standing = [&](const Trial& t) {
    return t.values.empty() ? learnt_->exact(goals[known], t.point) : goals[known].sign * t.values[known];
  };
  std::vector<Trial> out;
  for (const Trial& t : trials_) {
    if (t.state == Trial::failed || standing(t) < standing(own)) continue;
    out.push_back(t);
    if (!t.values.empty()) out.back().values = {t.values[1 - known]};
  }
  return out;
}

absl::StatusOr<Recommendation> Study::recommend() const {
  if (learnt_->goals.size() > 1)
    return absl::FailedPreconditionError("[autotune] a study of two objectives has a front, not one recommendation");
  const Surrogate& s = learnt_->first();
  if (s.size() == 0) return absl::FailedPreconditionError(kNoValue);
  const Prediction all = s.predict(s.kernel().layout().encode(*space_, s.points()));
  const VectorXd means = own_means(s, all.mean);
  const auto top = [&](const VectorXd& values) {  // what was stopped early only where nothing has run to its end
    Eigen::Index out = 0;
    const auto rank = [&](Eigen::Index i) {
      const Trial::State state = trials_[by_id_.at(ended_[static_cast<size_t>(i)])].state;
      return std::tuple(state == Trial::finished, state != Trial::failed, values[i]);
    };
    for (Eigen::Index i = 1; i < values.size(); ++i)
      if (rank(i) > rank(out)) out = i;
    return out;
  };
  const Eigen::Index seen = top(s.observed());
  if (trials_[by_id_.at(ended_[static_cast<size_t>(seen)])].state == Trial::failed)
    return absl::FailedPreconditionError(kNoValue);
  Eigen::Index best = top(means - kDoubt * all.variance.cwiseSqrt());
  if (s.noise_share() < kNoisy) best = seen;  // nothing to see through
  const Prediction run = s.predict(s.encode(s.points()[static_cast<size_t>(best)]), true);
  const double sign = learnt_->goals[0].sign, mean = sign * means[best], off = 1.96 * std::sqrt(run.variance[0]);
  return Recommendation{.trial = ended_[static_cast<size_t>(best)],
                        .mean = mean,
                        .low = mean - off,
                        .high = mean + off,
                        .best_observed = ended_[static_cast<size_t>(seen)]};
}

absl::StatusOr<std::vector<Best>> Study::front() const {
  const auto& goals = learnt_->goals;
  if (goals.size() != 2) return absl::FailedPreconditionError("[autotune] a study of one objective has no front");
  if (learnt_->points().empty()) return absl::FailedPreconditionError(kNoValue);
  const std::array<VectorXd, 2> means = {learnt_->means(goals[0]), learnt_->means(goals[1])};
  std::vector<Eigen::Index> order(learnt_->points().size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Eigen::Index a, Eigen::Index b) {
    return Pair{means[0][a], means[1][a]} > Pair{means[0][b], means[1][b]};
  });
  const auto finished = [&](int64_t id) { return trials_[by_id_.at(id)].state == Trial::finished; };
  const bool any = std::any_of(ended_.begin(), ended_.end(), finished);  // else what was stopped early has to do
  std::vector<Best> out;
  double height = -std::numeric_limits<double>::infinity();
  for (const Eigen::Index i : order) {
    if (means[1][i] <= height || (any && !finished(ended_[static_cast<size_t>(i)]))) continue;
    height = means[1][i];
    out.push_back({ended_[static_cast<size_t>(i)], {goals[0].sign * means[0][i], goals[1].sign * height}});
  }
  return out;
}

std::vector<double> Study::means_at(const std::vector<Point>& points) const {
  const Surrogate& s = learnt_->first();
  const VectorXd means = learnt_->main().sign * s.predict(s.kernel().layout().encode(*space_, points)).mean;
  return {means.begin(), means.end()};
}

}  // namespace ds::autotune

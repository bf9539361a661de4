// What a study suggests, stops and recommends: functions of what it has learnt.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/arms.h"
#include "scheduler/autotune/learnt.h"
#include "scheduler/autotune/local.h"
#include "scheduler/autotune/sobol.h"
#include "scheduler/autotune/stopping.h"

namespace ds::autotune {
namespace {

constexpr const char* kNothingLeft = "[autotune] the constraints and failures leave nothing to suggest";
constexpr const char* kNoValue = "[autotune] no trial has ended with a value";
constexpr double kDoubt = 1;     // deviations taken off the mean of what is recommended
constexpr double kNoisy = 0.02;  // share of the noise from which on values are noisy
constexpr double kRaces = 0.2;   // of the trials, where noise hides which is best
constexpr double kBold = 2;      // expected improvement alone stays too long with the first good trials
constexpr int kTries = 20000;    // of drawing a point that is allowed
constexpr const char *kLocal = "local", *kTelling = "local spread";
constexpr double kRegion = 0.2, kMostRegion = 0.5, kLeastRegion = 1e-7;  // of the local arm
constexpr double kWiden = 1.6, kNarrow = 0.5;                            // when it brings a better trial, and when not

}  // namespace

bool Study::blocked(const Point& point) const {
  if (!space_->allows(point) || learnt_->hopeless.count(point)) return true;
  for (const Trial& t : trials_)
    if (t.state == Trial::running && t.point == point) return true;
  return false;
}

std::vector<Point> Study::pending() const {
  std::vector<Point> out;
  for (const Trial& t : trials_)
    if (t.state == Trial::running) out.push_back(t.point);
  return out;
}

std::vector<int64_t> Study::ended() const {
  std::vector<int64_t> out;
  for (const Event& event : log_)
    if (const auto* told = std::get_if<Told>(&event)) out.push_back(told->trial);
  return out;
}

absl::StatusOr<Suggestion> Study::start(int64_t trial, Random& random) const {
  Sobol sobol(space_->size(), options_.seed * 31 + 1);
  for (int64_t k = 0; k < trial; ++k) sobol.next();
  Point point = sobol.point(*space_, random);
  for (int k = 0; k < kTries && (blocked(point) || learnt_->runs.count(point)); ++k) point = space_->sample(random);
  if (blocked(point)) return absl::FailedPreconditionError(kNothingLeft);
  return Suggestion{std::move(point), "start"};
}

// One trial in five races the three best points by mean, if one's deviation is more than what parts it from the next.
std::optional<Point> Study::replicate(Random& random) const {
  const Surrogate& s = learnt_->first();
  if (!options_.replicates || learnt_->goals.size() > 1 || s.size() < 20 || random.uniform() > kRaces)
    return std::nullopt;
  const std::vector<Point> best = learnt_->elites(3);
  if (best.size() < 2 || s.noise_share() < kNoisy) return std::nullopt;
  const Prediction p = s.predict(s.kernel().layout().encode(*space_, best));
  if (p.mean[0] - p.mean[1] > std::sqrt(p.variance[0] + p.variance[1])) return std::nullopt;
  const auto runs = [&](const Point& point) { return learnt_->runs.at(point); };
  const auto fewest =
      std::min_element(best.begin(), best.end(), [&](const Point& a, const Point& b) { return runs(a) < runs(b); });
  return blocked(*fewest) ? std::nullopt : std::optional<Point>(*fewest);
}

// How likely a point must be to end with a value: more, the more of the last trials failed for good. Expected
// improvement alone bisects the border of a failing region for ever.
double Study::chance_demanded() const {
  int ended = 0, lost = 0;
  for (auto t = trials_.rbegin(); t != trials_.rend() && ended < 20; ++t) {
    if (t->state == Trial::running || (t->state == Trial::failed && t->failure == Failure::infrastructure)) continue;
    ++ended;
    lost += t->state == Trial::failed;
  }
  return ended == 0 ? 0 : std::min(0.75, 0.5 + 2.0 * lost / ended);
}

namespace {

bool is_local(const Trial& t) { return t.source == kLocal || t.source == kTelling; }

}  // namespace

// What each ended trial's proposer brought: arm 0 is the model, 1 the local one.
std::vector<Play> Study::plays() const {
  const double sign = learnt_->goals[0].sign;
  double best = -std::numeric_limits<double>::infinity();
  std::vector<Play> out;
  for (const int64_t id : ended()) {
    const Trial& t = trials_[by_id_.at(id)];
    const double value = t.state == Trial::finished ? sign * t.values[0] : best;  // on the way is not at the end
    const double gain = std::isfinite(best) ? std::max(0.0, value - best) : 0;
    out.push_back({t.source == "start" ? -1 : is_local(t), gain});
    best = std::max(best, value);
  }
  return out;
}

// How wide the local arm's region is, and whether its last step failed, so that the next one is to tell more.
std::pair<double, bool> Study::region() const {
  double radius = kRegion;
  bool failed = false;
  const std::vector<Play> all = plays();
  const std::vector<int64_t> ids = ended();
  for (size_t k = 0; k < all.size(); ++k) {
    if (all[k].arm != 1) continue;
    const bool step = trials_[by_id_.at(ids[k])].source == kLocal, better = all[k].gain > 0;
    if (step) radius = std::min(kMostRegion, radius * (better ? kWiden : kNarrow));
    failed = step && !better;
  }
  return {radius, failed};
}

// A step of the numbers of the best trial, by the trials that have all else in common with it. Only where values are
// without noise, and one at a time: each is a function of how the last one ended.
std::optional<Suggestion> Study::step(Random& random) const {
  const Surrogate& s = learnt_->first();
  if (!options_.propose.local || learnt_->goals.size() > 1 || s.noise_share() > kNoisy) return std::nullopt;
  Eigen::Index top;
  s.observed().maxCoeff(&top);
  Point out = s.points()[static_cast<size_t>(top)];
  std::vector<size_t> free;
  for (int i = 0; i < space_->size(); ++i)
    if (out[static_cast<size_t>(i)] != kInactive && space_->levels(i) == 0) free.push_back(static_cast<size_t>(i));
  Around around{Eigen::MatrixXd(static_cast<Eigen::Index>(free.size()), s.size()), Eigen::VectorXd(s.size())};
  Eigen::Index used = 0;
  for (int t = 0; t < s.size(); ++t) {
    Point same = s.points()[static_cast<size_t>(t)];
    for (size_t k = 0; k < free.size(); ++k)
      around.points(static_cast<Eigen::Index>(k), used) = std::exchange(same[free[k]], out[free[k]]);
    if (same == out) around.values[used++] = s.observed()[t];
  }
  around.points.conservativeResize(Eigen::NoChange, used), around.values.conservativeResize(used);
  const auto [radius, failed] = region();
  if (free.empty() || radius < kLeastRegion) return std::nullopt;
  const auto to = failed ? telling_step(around, radius, random) : quadratic_step(around, radius, random);
  if (!to) return std::nullopt;
  for (size_t k = 0; k < free.size(); ++k) out[free[k]] = (*to)[static_cast<Eigen::Index>(k)];
  if (blocked(out) || learnt_->runs.count(out)) return std::nullopt;
  return Suggestion{std::move(out), failed ? kTelling : kLocal};
}

absl::StatusOr<Suggestion> Study::search(Random& random) const {
  const bool waits = std::any_of(trials_.begin(), trials_.end(),
                                 [](const Trial& t) { return t.state == Trial::running && is_local(t); });
  if (std::optional<Suggestion> local = waits ? std::nullopt : step(random);
      local && choose_arm(2, plays(), random) == 1)
    return *std::move(local);
  const double boldness = random.uniform() < options_.propose.bold ? kBold : 1;
  Acquisition acquisition = learnt_->promise(pending(), chance_demanded(), boldness, random);
  const std::vector<Point> best = learnt_->elites(10);
  for (const bool again : {false, true}) {  // points that have run only where no other is left
    acquisition.allowed = [&](const Point& point) { return !blocked(point) && (again || !learnt_->runs.count(point)); };
    if (std::optional<Proposal> found = propose(*space_, acquisition, best, options_.propose, random))
      return Suggestion{std::move(found->point), std::move(found->source)};
  }
  return absl::FailedPreconditionError(kNothingLeft);
}

absl::StatusOr<Suggestion> Study::suggest(int64_t trial) const {
  Random random(options_.seed, static_cast<uint64_t>(trial) + 1);
  if (!due_.empty()) return Suggestion{due_.front(), "retry"};
  const int startup = options_.startup > 0 ? options_.startup : std::clamp(space_->size(), 4, 8);
  if (learnt_->first().size() < 2 || static_cast<int>(trials_.size()) < startup) return start(trial, random);
  if (const std::optional<Point> again = replicate(random)) return Suggestion{*again, "replicate"};
  return search(random);
}

absl::StatusOr<bool> Study::should_stop(int64_t trial) const {
  const auto found = by_id_.find(trial);
  if (found == by_id_.end())
    return absl::InvalidArgumentError(absl::StrFormat("[autotune] trial %d: there is none", trial));
  const Trial& own = trials_[found->second];
  const auto& goals = options_.objectives;
  const auto measured = std::find_if(goals.begin(), goals.end(), [](const Objective& o) { return !o.known; });
  const auto count = std::count_if(goals.begin(), goals.end(), [](const Objective& o) { return !o.known; });
  if (!options_.stopping || count > 1 || own.state != Trial::running) return false;
  return hopeless(rivals(own), own, measured->maximize, options_.least_steps);
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
  const std::vector<int64_t> ids = ended();
  const auto top = [&](const VectorXd& values) {  // what was stopped early only where nothing has run to its end
    Eigen::Index out = 0;
    const auto rank = [&](Eigen::Index i) {
      return std::pair(trials_[by_id_.at(ids[static_cast<size_t>(i)])].state == Trial::finished, values[i]);
    };
    for (Eigen::Index i = 1; i < values.size(); ++i)
      if (rank(i) > rank(out)) out = i;
    return out;
  };
  const Eigen::Index seen = top(s.observed());
  Eigen::Index best = top(all.mean - kDoubt * all.variance.cwiseSqrt());
  if (s.noise_share() < kNoisy) best = seen;  // nothing to see through
  const Prediction run = s.predict(s.encode(s.points()[static_cast<size_t>(best)]), true);
  const double sign = learnt_->goals[0].sign, off = 1.96 * std::sqrt(run.variance[0]);
  return Recommendation{.trial = ids[static_cast<size_t>(best)],
                        .mean = sign * all.mean[best],
                        .low = sign * all.mean[best] - off,
                        .high = sign * all.mean[best] + off,
                        .best_observed = ids[static_cast<size_t>(seen)]};
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
  const std::vector<int64_t> ids = ended();
  const auto finished = [&](int64_t id) { return trials_[by_id_.at(id)].state == Trial::finished; };
  const bool any = std::any_of(ids.begin(), ids.end(), finished);  // else what was stopped early has to do
  std::vector<Best> out;
  double height = -std::numeric_limits<double>::infinity();
  for (const Eigen::Index i : order) {
    if (means[1][i] <= height || (any && !finished(ids[static_cast<size_t>(i)]))) continue;
    height = means[1][i];
    out.push_back({ids[static_cast<size_t>(i)], {goals[0].sign * means[0][i], goals[1].sign * height}});
  }
  return out;
}

std::vector<double> Study::means_at(const std::vector<Point>& points) const {
  const auto goal = std::find_if(learnt_->goals.begin(), learnt_->goals.end(), [](const auto& g) { return !!g.model; });
  const VectorXd means = goal->sign * goal->model->predict(goal->model->kernel().layout().encode(*space_, points)).mean;
  return {means.begin(), means.end()};
}

}  // namespace ds::autotune

// What a study suggests: a function of what it has learnt.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/arms.h"
#include "scheduler/autotune/learnt.h"
#include "scheduler/autotune/local.h"
#include "scheduler/autotune/sobol.h"

namespace ds::autotune {
namespace {

constexpr const char* kNothingLeft = "[autotune] the constraints and failures leave nothing to suggest";
constexpr double kRaces = 0.2;  // of the trials, where noise hides which is best
constexpr double kBold = 2;     // expected improvement alone stays too long with the first good trials
constexpr double kLeastChance = 0.2, kMostChance = 0.75, kSteepness = 2;  // of what a point must have not to fail
constexpr int kTries = 20000;                                             // of drawing a point that is allowed
constexpr double kLeastLeft = 0.05;  // of a paused trial's work: what is nearly free is no reason by itself
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
  return ended == 0 ? 0 : std::min(kMostChance, kLeastChance + kSteepness * lost / ended);
}

namespace {

bool is_local(const Trial& t) { return t.source == kLocal || t.source == kTelling; }

double share_of(const Trial& t, double whole) { return static_cast<double>(t.curve.back().first) / whole; }

}  // namespace

// What each ended trial's proposer brought: arm 0 is the model, 1 the local one.
std::vector<Play> Study::plays() const {
  const double sign = learnt_->goals[0].sign;
  double best = -std::numeric_limits<double>::infinity();
  std::vector<Play> out;
  for (const int64_t id : ended_) {
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
  for (size_t k = 0; k < all.size(); ++k) {
    if (all[k].arm != 1) continue;
    const bool step = trials_[by_id_.at(ended_[k])].source == kLocal, better = all[k].gain > 0;
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

// Whether a paused trial that goes on promises more for its work than a new one, which is likely to be paused too.
std::optional<Suggestion> Study::resumption(const Acquisition& acquisition, double fresh) const {
  std::vector<Point> points;
  std::vector<const Trial*> paused;
  double spent = 0, ended = 0;  // shares of whole trials
  const auto whole = static_cast<double>(whole_steps());
  for (const Trial& t : trials_) {
    if (t.curve.empty() || t.state == Trial::running || t.state == Trial::failed) continue;
    spent += share_of(t, whole), ++ended;
    if (t.state == Trial::paused) points.push_back(t.point), paused.push_back(&t);
  }
  if (points.empty() || whole == 0) return std::nullopt;  // how long a whole one takes is not known
  const VectorXd values = acquisition.value(points);
  double most = fresh - std::log(spent / ended);
  std::optional<Suggestion> out;
  for (size_t k = 0; k < paused.size(); ++k) {
    const double left = std::max(1 - share_of(*paused[k], whole), kLeastLeft);
    const double promise = values[static_cast<Eigen::Index>(k)] - std::log(left);
    if (promise > most) most = promise, out = Suggestion{paused[k]->point, "resume", paused[k]->id};
  }
  return out;
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
    std::optional<Proposal> found = propose(*space_, acquisition, best, options_.propose, random);
    if (!found) continue;
    if (std::optional<Suggestion> goes_on = resumption(acquisition, found->value)) return *std::move(goes_on);
    return Suggestion{std::move(found->point), std::move(found->source)};
  }
  return absl::FailedPreconditionError(kNothingLeft);
}

absl::StatusOr<Suggestion> Study::suggest(int64_t trial) const {
  Random random(options_.seed, static_cast<uint64_t>(trial) + 1);
  if (!due_.empty()) return Suggestion{due_.front(), "retry"};
  const int startup = options_.startup > 0 ? options_.startup : std::clamp(space_->size(), 4, 8);
  if (learnt_->first().size() < 2 || static_cast<int>(trials_.size()) < startup) return start(trial, random);
  if (const std::optional<Point> again = replicate(random)) {
    for (const Trial& t : trials_)
      if (t.state == Trial::paused && t.point == *again) return Suggestion{*again, "resume", t.id};
    return Suggestion{*again, "replicate"};
  }
  return search(random);
}

}  // namespace ds::autotune

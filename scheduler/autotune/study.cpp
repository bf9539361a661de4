#include "scheduler/autotune/study.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/sobol.h"
#include "scheduler/autotune/stopping.h"

namespace ds::autotune {
namespace {

constexpr const char* kFailures[] = {"oom", "nan", "timeout", "user_error", "infrastructure"};

template <typename... T>
absl::Status bad(int64_t trial, const absl::FormatSpec<T...>& format, const T&... values) {
  return absl::InvalidArgumentError(absl::StrFormat("[autotune] trial %d: ", trial) +
                                    absl::StrFormat(format, values...));
}

constexpr double kCaution = 1000;  // how steeply points that may fail are shunned
constexpr double kHopeless = -50;  // of log EI: a certain surrogate has no bound, and would outweigh any caution
constexpr double kDoubt = 1;       // deviations taken off the mean of what is recommended
constexpr double kRaces = 0.2;     // of the trials, where noise hides which is best

SurrogateOptions one_chain_of_labels() {
  SurrogateOptions out;
  out.warps = {Warp::standard};
  out.noise_deviation = 0.3;  // labels are nearly certain: else all of them may pass for noise
  return out;
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

}  // namespace

const char* name_of(Failure failure) { return kFailures[static_cast<int>(failure)]; }

absl::StatusOr<Failure> failure_named(const std::string& name) {
  for (size_t k = 0; k < std::size(kFailures); ++k)
    if (name == kFailures[k]) return static_cast<Failure>(k);
  return absl::InvalidArgumentError(
      absl::StrFormat("[autotune] the failure \"%s\" is none of oom, nan, timeout, user_error, infrastructure", name));
}

absl::StatusOr<Study> Study::create(Space space, StudyOptions options) {
  if (options.maximize.size() != 1)
    return absl::UnimplementedError(
        absl::StrFormat("[autotune] a study has one objective, got %d", options.maximize.size()));
  return Study(std::move(space), std::move(options));
}

Study::Study(Space space, StudyOptions options)
    : space_(std::make_shared<Space>(std::move(space))),
      options_(std::move(options)),
      feasible_(space_, one_chain_of_labels(), options_.seed ^ 0xfea51b1e) {
  for (size_t k = 0; k < options_.maximize.size(); ++k)
    objectives_.emplace_back(space_, options_.surrogate, options_.seed + 7919 * k);
}

absl::StatusOr<Trial*> Study::running(int64_t trial) {
  const auto found = by_id_.find(trial);
  if (found == by_id_.end()) return bad(trial, "%s", "there is none");
  Trial* out = &trials_[found->second];
  if (out->state != Trial::running) return bad(trial, "%s", "it has ended");
  return out;
}

absl::Status Study::apply(const Event& event) {
  absl::Status status;
  if (const auto* asked = std::get_if<Asked>(&event)) {
    status = apply_asked(*asked);
  } else if (const auto* told = std::get_if<Told>(&event)) {
    status = apply_told(*told);
  } else if (const auto* failed = std::get_if<Failed>(&event)) {
    status = apply_failed(*failed);
  } else {
    const Reported& report = std::get<Reported>(event);
    absl::StatusOr<Trial*> trial = running(report.trial);
    if (!trial.ok()) return trial.status();
    if (!std::isfinite(report.value)) return bad(report.trial, "it reports %g", report.value);
    auto& curve = (*trial)->curve;
    if (!curve.empty() && report.step <= curve.back().first)
      return bad(report.trial, "it reports step %d after step %d", report.step, curve.back().first);
    curve.emplace_back(report.step, report.value);
  }
  if (status.ok()) log_.push_back(event);
  return status;
}

absl::Status Study::apply_asked(const Asked& event) {
  if (event.trial < next_trial()) return bad(event.trial, "the next one is at least %d", next_trial());
  if (absl::Status status = space_->check(event.point); !status.ok()) return status;
  by_id_[event.trial] = trials_.size();
  trials_.push_back({.id = event.trial, .point = event.point, .source = event.source, .values = {}, .curve = {}});
  const auto due = std::find(due_.begin(), due_.end(), event.point);
  if (due != due_.end()) due_.erase(due);
  return absl::OkStatus();
}

absl::Status Study::apply_told(const Told& event) {
  absl::StatusOr<Trial*> trial = running(event.trial);
  if (!trial.ok()) return trial.status();
  if (event.values.size() != objectives_.size())
    return bad(event.trial, "%d values for %d objectives", event.values.size(), objectives_.size());
  for (const double v : event.values)
    if (!std::isfinite(v)) return bad(event.trial, "its value is %g: that is a failure, \"nan\"", v);
  (*trial)->state = event.stopped ? Trial::stopped : Trial::finished;
  (*trial)->values = event.values;
  const Point& point = (*trial)->point;
  for (size_t k = 0; k < objectives_.size(); ++k)
    objectives_[k].add(point, options_.maximize[k] ? event.values[k] : -event.values[k]);
  ++runs_[point];
  if (failures_) feasible_.add(point, 1);
  return absl::OkStatus();
}

absl::Status Study::apply_failed(const Failed& event) {
  absl::StatusOr<Trial*> trial = running(event.trial);
  if (!trial.ok()) return trial.status();
  (*trial)->state = Trial::failed;
  (*trial)->failure = event.failure;
  const Point& point = (*trial)->point;
  if (event.failure == Failure::infrastructure) {
    due_.push_back(point);
    return absl::OkStatus();
  }
  ++hopeless_[point];
  if (!failures_)  // from the first failure on; before, all were feasible
    for (const auto& [done, count] : runs_) feasible_.add(done, 1);
  failures_ = true;
  feasible_.add(point, 0);
  return absl::OkStatus();
}

int Study::startup() const { return options_.startup > 0 ? options_.startup : std::clamp(space_->size(), 4, 8); }

bool Study::blocked(const Point& point) const {
  if (!space_->allows(point) || hopeless_.count(point)) return true;
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

// Different points by posterior mean, best first; of two objectives, by the first and the second in turn.
std::vector<Point> Study::elites(size_t most) const {
  std::vector<Point> out;
  for (const Surrogate& s : objectives_) {
    const VectorXd means = s.means();
    std::vector<int> order(static_cast<size_t>(s.size()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return means[a] > means[b]; });
    const size_t until = out.size() + most / objectives_.size();
    for (const int i : order) {
      const Point& p = s.points()[static_cast<size_t>(i)];
      if (out.size() < until && std::find(out.begin(), out.end(), p) == out.end()) out.push_back(p);
    }
  }
  return out;
}

Suggestion Study::start(int64_t trial, Random& random) const {
  Sobol sobol(space_->size(), options_.seed * 31 + 1);
  for (int64_t k = 0; k < trial; ++k) sobol.next();
  Point point = sobol.point(*space_, random);
  for (int k = 0; k < 20000 && (blocked(point) || runs_.count(point)); ++k) point = space_->sample(random);
  return {std::move(point), "start"};
}

// One trial in five races the three best points by mean, if one's deviation is more than what parts it from the next.
std::optional<Point> Study::replicate(Random& random) const {
  const Surrogate& s = objectives_[0];
  if (!options_.replicates || objectives_.size() > 1 || s.size() < 20 || random.uniform() > kRaces) return std::nullopt;
  const std::vector<Point> best = elites(3);
  if (best.size() < 2 || s.noise_share() < 0.02) return std::nullopt;
  const Prediction p = s.predict(s.kernel().layout().encode(*space_, best));
  if (p.mean[0] - p.mean[1] > std::sqrt(p.variance[0] + p.variance[1])) return std::nullopt;
  const auto fewest = std::min_element(best.begin(), best.end(),
                                       [&](const Point& a, const Point& b) { return runs_.at(a) < runs_.at(b); });
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
  return ended == 0 ? 0 : std::min(0.97, 0.5 + 5.0 * lost / ended);
}

absl::StatusOr<Suggestion> Study::suggest(int64_t trial) const {
  Random random(options_.seed, static_cast<uint64_t>(trial) + 1);
  if (!due_.empty()) return Suggestion{due_.front(), "retry"};
  const std::vector<Point> waiting = pending();
  if (objectives_[0].size() < 2 || static_cast<int>(trials_.size()) < startup()) {
    Suggestion out = start(trial, random);
    if (!blocked(out.point)) return out;
    return absl::FailedPreconditionError("[autotune] the constraints and failures leave nothing to suggest");
  }
  if (const std::optional<Point> again = replicate(random)) return Suggestion{*again, "replicate"};
  const Surrogate model = objectives_[0].with_pending(waiting, random);
  const double demanded = chance_demanded();
  Acquisition acquisition;
  acquisition.value = [&](const std::vector<Point>& points) {
    const MatrixXd x = model.kernel().layout().encode(*space_, points);
    VectorXd out = model.log_ei(x);
    if (!failures_) return out;
    const Prediction p = feasible_.predict(x);
    for (Eigen::Index j = 0; j < out.size(); ++j) {
      const double chance = normal_cdf((p.mean[j] - 0.5) / std::sqrt(p.variance[j] + 0.02));
      out[j] = std::max(out[j], kHopeless) + std::log(chance + 1e-12) - kCaution * std::max(0.0, demanded - chance);
    }
    return out;
  };
  acquisition.with_slope = [&](const Point& point, VectorXd* slope) {
    const double value = model.log_ei(VectorXd(model.encode(point)), slope);
    return failures_ ? acquisition.value({point})[0] : value;
  };
  bool again = false;
  acquisition.allowed = [&](const Point& point) { return !blocked(point) && (again || !runs_.count(point)); };
  const std::vector<Point> best = elites(10);
  std::optional<Proposal> found = propose(*space_, acquisition, best, options_.propose, random);
  if (!found) again = true, found = propose(*space_, acquisition, best, options_.propose, random);
  if (!found) return absl::FailedPreconditionError("[autotune] the constraints and failures leave nothing to suggest");
  return Suggestion{std::move(found->point), std::move(found->source)};
}

absl::StatusOr<bool> Study::should_stop(int64_t trial) const {
  const auto found = by_id_.find(trial);
  if (found == by_id_.end()) return bad(trial, "%s", "there is none");
  if (!options_.stopping || trials_[found->second].state != Trial::running) return false;
  return hopeless(trials_, trials_[found->second], options_.maximize[0], options_.least_steps);
}

absl::StatusOr<Recommendation> Study::recommend() const {
  const Surrogate& s = objectives_[0];
  if (s.size() == 0) return absl::FailedPreconditionError("[autotune] no trial has ended with a value");
  const Prediction all = s.predict(s.kernel().layout().encode(*space_, s.points()));
  Eigen::Index best, seen;
  (all.mean - kDoubt * all.variance.cwiseSqrt()).maxCoeff(&best);
  s.observed().maxCoeff(&seen);
  std::vector<int64_t> ids;
  for (const Event& event : log_)
    if (const auto* told = std::get_if<Told>(&event)) ids.push_back(told->trial);
  const double sign = options_.maximize[0] ? 1 : -1, off = 1.96 * std::sqrt(all.variance[best]);
  return Recommendation{.trial = ids[static_cast<size_t>(best)],
                        .mean = sign * all.mean[best],
                        .low = sign * all.mean[best] - off,
                        .high = sign * all.mean[best] + off,
                        .best_observed = ids[static_cast<size_t>(seen)]};
}

}  // namespace ds::autotune

#include "scheduler/autotune/study.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/learnt.h"
#include "scheduler/autotune/stopping.h"

namespace ds::autotune {
namespace {

constexpr const char* kNoMachine =
    "[autotune] it is compiled for processors with AVX2 and FMA, and this one lacks them";
constexpr const char* kFailures[] = {"oom", "nan", "timeout", "user_error", "infrastructure"};

template <typename... T>
absl::Status bad(int64_t trial, const absl::FormatSpec<T...>& format, const T&... values) {
  return absl::InvalidArgumentError(absl::StrFormat("[autotune] trial %d: ", trial) +
                                    absl::StrFormat(format, values...));
}

// One instruction set, so that the same log gives the same bits on every machine.
bool machine_serves() {
  constexpr bool kWide = Eigen::internal::packet_traits<double>::size > 2;
  return !kWide || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

}  // namespace

const char* name_of(Failure failure) { return kFailures[static_cast<int>(failure)]; }

absl::StatusOr<Failure> failure_named(const std::string& name) {
  for (size_t k = 0; k < std::size(kFailures); ++k)
    if (name == kFailures[k]) return static_cast<Failure>(k);
  return absl::InvalidArgumentError(
      absl::StrFormat("[autotune] the failure \"%s\" is none of oom, nan, timeout, user_error, infrastructure", name));
}

absl::StatusOr<Study> Study::create(Space space, StudyOptions options) {
  const size_t count = options.objectives.size();
  if (count < 1 || count > 2)
    return absl::InvalidArgumentError(absl::StrFormat("[autotune] a study has one or two objectives, got %d", count));
  if (std::all_of(options.objectives.begin(), options.objectives.end(), [](const Objective& o) { return !!o.known; }))
    return absl::InvalidArgumentError("[autotune] every objective is known: there is nothing for trials to measure");
  if (!machine_serves()) return absl::FailedPreconditionError(kNoMachine);
  return Study(std::move(space), std::move(options));
}

Study::Study(Space space, StudyOptions options)
    : space_(std::make_shared<Space>(std::move(space))),
      options_(std::move(options)),
      learnt_(std::make_unique<Learnt>(space_, options_)) {}

Study::Study(Study&&) noexcept = default;
Study& Study::operator=(Study&&) noexcept = default;
Study::~Study() = default;

absl::StatusOr<Trial*> Study::running(int64_t trial) {
  const auto found = by_id_.find(trial);
  if (found == by_id_.end()) return bad(trial, "%s", "there is none");
  Trial* out = &trials_[found->second];
  if (out->state == Trial::paused) return bad(trial, "%s", "it is paused");
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
  } else if (const auto* resumed = std::get_if<Resumed>(&event)) {
    status = apply_resumed(*resumed);
  } else {
    status = apply_reported(std::get<Reported>(event));
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

absl::Status Study::apply_reported(const Reported& event) {
  absl::StatusOr<Trial*> trial = running(event.trial);
  if (!trial.ok()) return trial.status();
  if (!std::isfinite(event.value)) return bad(event.trial, "it reports %g", event.value);
  auto& curve = (*trial)->curve;
  if (!curve.empty() && event.step <= curve.back().first)
    return bad(event.trial, "it reports step %d after step %d", event.step, curve.back().first);
  curve.emplace_back(event.step, event.value);
  return absl::OkStatus();
}

absl::Status Study::apply_told(const Told& event) {
  absl::StatusOr<Trial*> trial = running(event.trial);
  if (!trial.ok()) return trial.status();
  const auto measured = std::count_if(options_.objectives.begin(), options_.objectives.end(),
                                      [](const Objective& o) { return !o.known; });
  if (event.values.size() != static_cast<size_t>(measured))
    return bad(event.trial, "%d values for %d measured objectives", event.values.size(), measured);
  if (event.end == Told::paused && measured > 1)
    return bad(event.trial, "%s", "of two measured objectives none is paused: what they would end with is not known");
  for (const double v : event.values)
    if (!std::isfinite(v)) return bad(event.trial, "its value is %g: that is a failure, \"nan\"", v);
  static constexpr Trial::State kStates[] = {Trial::finished, Trial::stopped, Trial::paused};
  (*trial)->state = kStates[event.end];
  (*trial)->values.clear();
  size_t next = 0;
  for (const Objective& o : options_.objectives)
    (*trial)->values.push_back(o.known ? o.known(*space_, (*trial)->point) : event.values[next++]);
  learn(**trial, event.values);
  return absl::OkStatus();
}

// Trials that ended early are compared with the others by where they would have come to, of which each whole curve
// tells more.
void Study::learn(const Trial& trial, const std::vector<double>& measured) {
  const bool whole = trial.state == Trial::finished;
  std::vector<double> values = measured;
  double deviation = 0;
  std::map<int, Forecast> known_better;
  if (measured.size() == 1) {
    for (size_t row = 0; whole && row < ended_.size(); ++row) {
      const Trial& other = trials_[by_id_.at(ended_[row])];
      if (other.state == Trial::finished) continue;
      if (const auto end = forecast(trials_, other)) known_better[static_cast<int>(row)] = *end;
    }
    if (const auto end = whole ? std::nullopt : forecast(trials_, trial))
      values[0] = end->value, deviation = end->deviation;
  }
  const auto before = std::find(ended_.begin(), ended_.end(), trial.id);
  if (before != ended_.end()) known_better[static_cast<int>(before - ended_.begin())] = {values[0], deviation};
  if (!known_better.empty()) learnt_->revised(known_better);
  if (before != ended_.end()) return;
  learnt_->told(trial.point, values, deviation);
  ended_.push_back(trial.id);
}

absl::Status Study::apply_resumed(const Resumed& event) {
  const auto found = by_id_.find(event.trial);
  if (found == by_id_.end()) return bad(event.trial, "%s", "there is none");
  Trial& trial = trials_[found->second];
  if (trial.state != Trial::paused) return bad(event.trial, "%s", "it is not paused");
  trial.state = Trial::running;
  trial.resumed = true;
  return absl::OkStatus();
}

absl::Status Study::apply_failed(const Failed& event) {
  absl::StatusOr<Trial*> trial = running(event.trial);
  if (!trial.ok()) return trial.status();
  (*trial)->state = Trial::failed;
  (*trial)->values.clear();
  (*trial)->failure = event.failure;
  if (event.failure == Failure::infrastructure)
    due_.push_back((*trial)->point);
  else
    learnt_->failed((*trial)->point);
  return absl::OkStatus();
}

}  // namespace ds::autotune

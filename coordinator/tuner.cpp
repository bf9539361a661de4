#include "coordinator/tuner.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/time/clock.h"
#include "coordinator/log.h"
#include "coordinator/tune_space.h"
#include "proto/spec/study_spec.h"
#include "scheduler/autotune/hypervolume.h"
#include "scheduler/autotune/importance.h"

namespace ds::coordinator {
namespace {

autotune::Failure failure_of(v1::FailureClass failure) {
  switch (failure) {
    case v1::FAILURE_OOM:
      return autotune::Failure::oom;
    case v1::FAILURE_NAN:
      return autotune::Failure::nan;
    case v1::FAILURE_TIMEOUT:
      return autotune::Failure::timeout;
    case v1::FAILURE_INFRASTRUCTURE:
      return autotune::Failure::infrastructure;
    default:
      return autotune::Failure::user_error;
  }
}

autotune::Event event_of(const v1::TuneEvent& e) {
  switch (e.event_case()) {
    case v1::TuneEvent::kAsked:
      return autotune::Asked{
          e.trial(), {e.asked().point().begin(), e.asked().point().end()}, std::string(e.asked().source())};
    case v1::TuneEvent::kReported:
      return autotune::Reported{e.trial(), e.reported().step(), e.reported().values(0)};
    case v1::TuneEvent::kResumed:
      return autotune::Resumed{e.trial()};
    case v1::TuneEvent::kTold:
      return autotune::Told{e.trial(),
                            {e.told().values().begin(), e.told().values().end()},
                            e.told().over()      ? autotune::Told::stopped
                            : e.told().stopped() ? autotune::Told::paused
                                                 : autotune::Told::whole};
    default:
      return autotune::Failed{e.trial(), failure_of(e.failed())};
  }
}

absl::StatusOr<autotune::Study> make_study(const v1::StudySpec& spec) {
  absl::StatusOr<autotune::Space> space = make_space(spec);
  if (!space.ok()) return space.status();
  autotune::StudyOptions options;
  options.seed = spec.seed();
  options.objectives = objectives_of(spec);
  options.stopping = spec.early_stopping();
  return autotune::Study::create(*std::move(space), std::move(options));
}

void suggest(const Tune& question, const v1::StudySpec& spec, const absl::StatusOr<const autotune::Study*>& study,
             v1::TrialSuggested& out) {
  out.set_study(question.study);
  out.set_trial(question.trial);
  out.set_prefix(question.prefix);
  auto failed = [&out](const absl::Status& status) { out.set_error(std::string(status.message())); };
  if (!study.ok()) return failed(study.status());
  if (question.what == Tune::kFinish) {
    const std::optional<int64_t> trial = (*study)->to_finish();
    if (trial) out.set_resumes(*trial);
    return;
  }
  const absl::StatusOr<autotune::Suggestion> found = (*study)->suggest(question.trial);
  if (!found.ok()) return failed(found.status());
  if (found->resumes) return out.set_resumes(*found->resumes);
  const std::map<std::string, std::string> params = params_of((*study)->space(), found->point);
  const absl::StatusOr<v1::JobSpec> job = spec::trial_job(spec, question.trial, params);
  if (!job.ok()) return failed(job.status());
  out.mutable_point()->Add(found->point.begin(), found->point.end());
  out.set_source(found->source);
  out.mutable_params()->insert(params.begin(), params.end());
  *out.mutable_job() = *job;
  if (const std::optional<spec::ModelSize> size = spec::model_size(*job)) {
    out.set_params_count(size->params);
    out.set_flops(size->flops);
  }
}

absl::Status recommend_one(const autotune::Study& study, v1::Recommendation& best) {
  const absl::StatusOr<autotune::Recommendation> found = study.recommend();
  if (!found.ok()) return found.status();
  best.set_trial(found->trial);
  best.set_mean(found->mean);
  best.set_low(found->low);
  best.set_high(found->high);
  best.set_best_observed(found->best_observed);
  for (const autotune::Trial& t : study.trials()) {
    if (t.id == found->best_observed) best.set_best_value(t.values[0]);
  }
  return absl::OkStatus();
}

// Nobody but the user can weigh one objective against the other: what is retrained is the knee, and said to be it.
absl::Status recommend_front(const autotune::Study& study, v1::Recommendation& best) {
  const absl::StatusOr<std::vector<autotune::Best>> front = study.front();
  if (!front.ok()) return front.status();
  std::vector<autotune::Pair> means;
  for (const autotune::Best& b : *front) {
    v1::FrontTrial* trial = best.add_front();
    trial->set_trial(b.trial);
    trial->mutable_means()->Add(b.means.begin(), b.means.end());
    means.push_back({b.means[0], b.means[1]});
  }
  best.set_trial((*front)[autotune::knee(means)].trial);
  return absl::OkStatus();
}

void recommend(const Tune& question, const absl::StatusOr<const autotune::Study*>& study, v1::StudyRecommended& out) {
  out.set_study(question.study);
  out.set_prefix(question.prefix);
  if (!study.ok()) return out.set_error(std::string(study.status().message()));
  const bool two = (*study)->options().objectives.size() > 1;
  const absl::Status done =
      two ? recommend_front(**study, *out.mutable_best()) : recommend_one(**study, *out.mutable_best());
  if (done.ok()) return;
  out.clear_best();
  out.set_error(std::string(done.message()));
}

}  // namespace

// The model of so much of the log. A longer one that is there cannot be taken back, so it is made anew.
absl::StatusOr<const autotune::Study*> Tuner::at(Known& known, size_t prefix) {
  if (!known.study || known.applied > prefix) {
    absl::StatusOr<autotune::Study> fresh = make_study(known.spec);
    if (!fresh.ok()) return fresh.status();
    known.study.emplace(*std::move(fresh));
    known.applied = 0;
  }
  for (; known.applied < prefix; ++known.applied) {
    absl::Status status = known.study->apply(event_of(known.log[known.applied]));
    if (!status.ok()) return status;
  }
  return &*known.study;
}

void Tuner::start() {
  thread_ = std::thread([this] { run(); });
}

void Tuner::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Tuner::ask(const Tune& question, const v1::StudyRecord& record) {
  const absl::Time asked = absl::Now();
  push(record, [this, question, asked](Known& known) {
    answer(question, known);
    if (question.what != Tune::kSuggest) return;
    const absl::Duration took = absl::Now() - asked;
    took_(took);
    spdlog::info("event=suggest study={} trial={} prefix={} seconds={:.3f}", question.study, question.trial,
                 question.prefix, absl::ToDoubleSeconds(took));
  });
}

void Tuner::ask_importance(const v1::StudyRecord& record, Importance reply) {
  push(record, [prefix = record.log_size(), reply = std::move(reply)](Known& known) {
    absl::StatusOr<const autotune::Study*> study = at(known, static_cast<size_t>(prefix));
    if (!study.ok()) return reply(study.status());
    const auto parts = autotune::importance(**study);
    if (!parts.ok()) return reply(parts.status());
    v1::ImportanceResponse response;
    for (const autotune::Importance& p : *parts) {
      v1::ParameterImportance* out = response.add_parameters();
      out->set_key(p.name);
      out->set_main(p.main);
      out->set_total(p.total);
    }
    reply(std::move(response));
  });
  if (ended(record.study().state())) forget(record.study().id());
}

void Tuner::forget(const std::string& study) {
  absl::MutexLock lock(&mutex_);
  if (sent_.erase(study) > 0) work_.push_back({.study = study, .spec = {}, .log = {}, .run = {}});
}

// Logs grow only: what was sent before is not copied again.
void Tuner::push(const v1::StudyRecord& record, std::function<void(Known&)> work) {
  absl::MutexLock lock(&mutex_);
  size_t& sent = sent_[record.study().id()];
  Work next{.study = record.study().id(), .spec = {}, .from = sent, .log = {}, .run = std::move(work)};
  if (sent == 0) next.spec = record.study().spec();
  next.log.assign(record.log().begin() + static_cast<std::ptrdiff_t>(sent), record.log().end());
  sent = static_cast<size_t>(record.log_size());
  work_.push_back(std::move(next));
}

void Tuner::run() {
  while (true) {
    Work work;
    {
      absl::MutexLock lock(&mutex_);
      auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !work_.empty(); };
      mutex_.Await(absl::Condition(&due));
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    take(std::move(work));
  }
}

void Tuner::take(Work work) {
  if (!work.run) {
    known_.erase(work.study);
    return;
  }
  Known& known = known_[work.study];
  if (work.from == 0) known.spec = std::move(work.spec);
  known.log.insert(known.log.end(), std::make_move_iterator(work.log.begin()), std::make_move_iterator(work.log.end()));
  work.run(known);
}

void Tuner::answer(const Tune& question, Known& known) {
  const absl::StatusOr<const autotune::Study*> study = at(known, static_cast<size_t>(question.prefix));
  v1::Event event;
  if (question.what == Tune::kSuggest || question.what == Tune::kFinish) {
    suggest(question, known.spec, study, *event.mutable_suggested());
  } else if (question.what == Tune::kRecommend) {
    recommend(question, study, *event.mutable_recommended());
  } else {
    if (!study.ok() || !(*study)->should_stop(question.trial).value_or(false)) return;
    event.mutable_advised()->set_study(question.study);
    event.mutable_advised()->set_trial(question.trial);
  }
  answer_(std::move(event));
}

}  // namespace ds::coordinator

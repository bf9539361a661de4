// Trials: begun at the tuner's word, and told to it as their jobs report and end.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

// The objective among a job's numbers; NaN: it has not been measured.
double objective(const std::string& metric, const v1::JobMetrics& m) {
  if (metric == "test_accuracy") return m.has_test_accuracy() ? m.test_accuracy() : std::nan("");
  if (metric == "test_loss") return m.has_test_loss() ? m.test_loss() : std::nan("");
  return metric == "loss" ? m.loss() : m.samples_per_second();
}

// And at an evaluation; training's own numbers are those of the last step.
double objective(const std::string& metric, const v1::MetricRecord& evaluation, const v1::JobMetrics& training) {
  v1::JobMetrics m = training;
  m.clear_test_accuracy();
  if (evaluation.has_accuracy()) m.set_test_accuracy(evaluation.accuracy());
  m.set_test_loss(evaluation.loss());
  return objective(metric, m);
}

}  // namespace

void Machine::touch(v1::StudyRecord& record, v1::TrialRecord& trial) {
  touch(record);
  trial.set_revision(state_.revision);
}

void Machine::on(const v1::TrialSuggested& event) {
  v1::StudyRecord* record = find_study(event.study());
  if (!record || record->study().state() != v1::STUDY_RUNNING || !record->has_suggest_prefix()) return;
  if (record->suggest_prefix() != event.prefix() || record->trials_size() != event.trial()) return;
  touch(*record);
  record->clear_suggest_prefix();
  record->set_barren(event.error());
  if (event.error().empty()) return begin_trial(*record, event);
  int64_t after = 0;
  for (const v1::TrialRecord& t : record->trials()) after += t.trial().state() != v1::TRIAL_RUNNING;
  record->set_barren_after(after);
}

void Machine::begin_trial(v1::StudyRecord& record, const v1::TrialSuggested& event) {
  v1::TrialRecord& t = *record.add_trials();
  v1::Trial& trial = *t.mutable_trial();
  trial.set_id(event.trial());
  trial.set_state(v1::TRIAL_RUNNING);
  *trial.mutable_params() = event.params();
  *trial.mutable_point() = event.point();
  trial.set_source(event.source());
  trial.set_params_count(event.params_count());
  trial.set_flops(event.flops());
  trial.set_started_at_us(now_);
  v1::TuneEvent& asked = *record.add_log();
  asked.set_trial(event.trial());
  *asked.mutable_asked()->mutable_point() = event.point();
  asked.mutable_asked()->set_source(event.source());
  v1::JobRecord& job = submit(event.job(), "");
  job.mutable_job()->set_study(record.study().id());
  job.mutable_job()->set_trial(event.trial());
  fresh_ = &job;
  trial.set_job(job.job().id());
  touch(record, t);
  touched_studies_.at(record.order()).trials.push_back(event.trial());
}

void Machine::on(const v1::TrialAdvised& event) {
  v1::StudyRecord* record = find_study(event.study());
  if (!record || record->study().state() != v1::STUDY_RUNNING) return;
  if (event.trial() < 0 || event.trial() >= record->trials_size()) return;
  v1::TrialRecord& t = *record->mutable_trials(static_cast<int>(event.trial()));
  if (t.trial().state() != v1::TRIAL_RUNNING || t.trial().reports().empty()) return;
  t.mutable_trial()->set_reason("stopped early: its reports promise no good end");
  tell(*record, t, t.trial().reports().rbegin()->value(), true);
  pause(state_.jobs.at(t.trial().job()), absl::StrCat("trial ", event.trial(), " of ", event.study(), " was stopped"));
}

void Machine::on(const v1::StudyRecommended& event) {
  v1::StudyRecord* record = find_study(event.study());
  if (!record || ended(record->study().state()) || !record->has_recommend_prefix()) return;
  if (record->recommend_prefix() != event.prefix()) return;  // a newer one is on its way
  touch(*record);
  record->clear_recommend_prefix();
  if (!event.error().empty()) return end_study(*record, v1::STUDY_FAILED, event.error());
  record->set_recommended(event.prefix());
  *record->mutable_study()->mutable_best() = event.best();
}

void Machine::trial_progressed(const v1::JobRecord& job, const v1::JobProgress& p) {
  v1::StudyRecord* record = find_study(job.job().study());
  if (!record || !job.job().has_trial()) return;
  v1::TrialRecord& t = *record->mutable_trials(static_cast<int>(job.job().trial()));
  if (t.trial().state() != v1::TRIAL_RUNNING) return;
  bool news = false;
  for (const v1::MetricRecord& e : p.evaluations()) {
    const int64_t step = e.epoch() + 1;
    const double value = objective(record->study().spec().objective().metric(), e, job.job().metrics());
    if (step <= t.epochs() || !std::isfinite(value)) continue;  // after a restart epochs may be told again
    t.set_epochs(step);
    v1::TrialReport* report = t.mutable_trial()->add_reports();
    report->set_step(step);
    report->set_value(value);
    v1::TuneEvent* event = record->add_log();
    event->set_trial(t.trial().id());
    *event->mutable_reported() = *report;
    news = true;
  }
  if (!news) return;
  touch(*record, t);
  if (record->study().spec().early_stopping()) ask(*record, Tune::kJudge, t.trial().id(), record->log_size());
}

void Machine::trial_ended(v1::StudyRecord& record, v1::TrialRecord& t, const v1::JobRecord& job) {
  const v1::Job& j = job.job();
  if (j.state() == v1::CANCELLED) return fail(record, t, v1::FAILURE_USER_ERROR, j.reason());
  if (j.state() == v1::FAILED) return fail(record, t, j.failure(), j.reason());
  t.set_epochs(std::max(t.epochs(), j.spec().train().epochs()));
  const std::string& metric = record.study().spec().objective().metric();
  const double value = objective(metric, j.metrics());
  if (std::isfinite(value)) return tell(record, t, value, false);
  fail(record, t, v1::FAILURE_USER_ERROR, absl::StrCat("its job ", j.id(), " ended without a ", metric));
}

void Machine::end_trial(v1::StudyRecord& record, v1::TrialRecord& t, v1::TrialState state) {
  t.mutable_trial()->set_state(state);
  t.mutable_trial()->set_finished_at_us(now_);
  touch(record, t);
  touched_studies_.at(record.order()).trials.push_back(t.trial().id());
}

void Machine::tell(v1::StudyRecord& record, v1::TrialRecord& t, double value, bool stopped) {
  t.mutable_trial()->set_value(value);
  end_trial(record, t, stopped ? v1::TRIAL_STOPPED : v1::TRIAL_FINISHED);
  record.clear_lost_in_a_row();
  v1::TuneEvent* event = record.add_log();
  event->set_trial(t.trial().id());
  event->mutable_told()->set_value(value);
  event->mutable_told()->set_stopped(stopped);
  ask(record, Tune::kRecommend, 0, record.log_size());
}

void Machine::fail(v1::StudyRecord& record, v1::TrialRecord& t, v1::FailureClass failure, const std::string& reason) {
  t.mutable_trial()->set_failure(failure);
  t.mutable_trial()->set_reason(reason);
  end_trial(record, t, v1::TRIAL_FAILED);
  const bool lost = failure == v1::FAILURE_INFRASTRUCTURE;
  record.set_lost_in_a_row(lost ? record.lost_in_a_row() + 1 : 0);
  v1::TuneEvent* event = record.add_log();
  event->set_trial(t.trial().id());
  event->set_failed(failure);
}

}  // namespace ds::coordinator

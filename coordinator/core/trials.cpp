// Trials: begun at the tuner's word, and told to it as their jobs report and end.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

// What is known of a trial before it runs; nothing: the metric is measured.
std::optional<double> known(const std::string& metric, const v1::Trial& trial) {
  if (metric == "params") return trial.params_count();
  if (metric == "flops") return trial.flops();
  return std::nullopt;
}

// One of a job's numbers; nothing: it has not been measured.
std::optional<double> measure(const std::string& metric, const v1::JobMetrics& m) {
  if (metric == "test_accuracy") return m.has_test_accuracy() ? std::optional(m.test_accuracy()) : std::nullopt;
  if (metric == "test_loss") return m.has_test_loss() ? std::optional(m.test_loss()) : std::nullopt;
  if (metric == "loss") return m.has_loss() ? std::optional(m.loss()) : std::nullopt;
  if (metric == "samples_per_second")
    return m.samples_per_second() > 0 ? std::optional(m.samples_per_second()) : std::nullopt;
  const auto own = m.reported().find(metric);
  return own == m.reported().end() ? std::nullopt : std::optional(own->second);
}

// What a job without this metric did measure.
std::string not_measured(const v1::Job& job, const std::string& metric) {
  std::set<std::string> names;
  for (const char* name : {"loss", "samples_per_second", "test_accuracy", "test_loss"})
    if (measure(name, job.metrics())) names.insert(name);
  for (const auto& [name, value] : job.metrics().reported()) names.insert(name);
  return absl::StrCat("its job ", job.id(), " ended without a ", metric, "; it reported ",
                      names.empty() ? "nothing" : absl::StrJoin(names, ", "));
}

// What of the objectives is measured, in their order; of one that has not been, NaN.
Values measured(const v1::StudySpec& spec, const v1::Trial& trial, const v1::JobMetrics& m) {
  Values out;
  for (const v1::ObjectiveSpec& o : spec.objectives())
    if (!known(o.metric(), trial)) out.Add(measure(o.metric(), m).value_or(std::nan("")));
  return out;
}

bool all_finite(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

// A job's numbers at an evaluation, or after a step; the others are those of the last step.
v1::JobMetrics at(const v1::MetricRecord& record, v1::JobMetrics m) {
  if (record.kind() == "train") {
    m.set_loss(record.loss());
    m.set_samples_per_second(record.samples_per_second());
    return m;
  }
  m.clear_test_accuracy();
  if (record.has_accuracy()) m.set_test_accuracy(record.accuracy());
  m.clear_test_loss();
  if (record.has_loss()) m.set_test_loss(record.loss());
  *m.mutable_reported() = record.reported();
  return m;
}

// What a report is counted by: epochs that have ended; of a script, which need have none, its evaluations. Nothing: it
// was told before, as after a restart.
std::optional<int64_t> report_step(const v1::TrialRecord& t, const v1::MetricRecord& end, bool script) {
  const bool evaluations = script && end.kind() != "train";
  const bool first = t.epochs() == 0;  // which may be at step 0, before training
  const bool news = evaluations ? first || end.step() > t.evaluated() : end.epoch() + 1 > t.epochs();
  if (!news) return std::nullopt;
  return evaluations ? t.epochs() + 1 : end.epoch() + 1;
}

// What an evaluation or the last step of an epoch is to the tuner; nothing: no news, or no numbers.
std::optional<v1::TrialReport> take_report(const v1::StudySpec& spec, v1::TrialRecord& t, const v1::MetricRecord& end,
                                           const v1::JobMetrics& metrics) {
  const std::optional<int64_t> step = report_step(t, end, !spec.job().model().script().empty());
  if (!step) return std::nullopt;
  v1::TrialReport report;
  *report.mutable_values() = measured(spec, t.trial(), at(end, metrics));
  if (!all_finite(report.values())) return std::nullopt;
  t.set_epochs(*step);
  t.set_evaluated(end.step());
  report.set_step(*step);
  return report;
}

// What the tuner heard last of a trial that has ended with values.
const v1::TuneEvent::Told& last_told(const v1::StudyRecord& record, int64_t trial) {
  const auto told = [&](const v1::TuneEvent& e) { return e.has_told() && e.trial() == trial; };
  const auto found = std::find_if(record.log().rbegin(), record.log().rend(), told);
  return found == record.log().rend() ? v1::TuneEvent::Told::default_instance() : found->told();
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
  if (record->suggest_finish() && !event.has_resumes()) return record->set_finished_prefix(event.prefix());
  if (event.has_resumes()) return resume_trial(*record, event.resumes());
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

// From its checkpoint; or, where its job came to its end before it could stop, with what that came to.
void Machine::resume_trial(v1::StudyRecord& record, int64_t id) {
  if (id < 0 || id >= record.trials_size()) return;
  v1::TrialRecord& t = *record.mutable_trials(static_cast<int>(id));
  if (t.trial().state() != v1::TRIAL_STOPPED || last_told(record, id).over()) return;
  v1::Trial& trial = *t.mutable_trial();
  trial.set_state(v1::TRIAL_RUNNING);
  trial.clear_values();
  trial.clear_reason();
  trial.clear_finished_at_us();
  touch(record, t);
  touched_studies_.at(record.order()).trials.push_back(trial.id());
  v1::TuneEvent& event = *record.add_log();
  event.set_trial(trial.id());
  event.set_resumed(true);
  for (const v1::TrialReport& report : t.held()) reported(record, t, report);
  t.clear_held();
  v1::JobRecord& job = state_.jobs.at(trial.job());
  if (ended(job.job().state())) return trial_ended(record, t, job);
  trial.set_resumed(trial.resumed() + 1);
  resume(job);
}

// Before it could stop, it came to its end; or its job was cancelled, or failed, and it cannot go on: what was told of
// it stays.
void Machine::stopped_trial_ended(v1::StudyRecord& record, v1::TrialRecord& t, const v1::JobRecord& job) {
  const int64_t id = t.trial().id();
  if (job.job().state() == v1::SUCCEEDED) return resume_trial(record, id);
  if (last_told(record, id).over()) return;
  v1::TuneEvent told;
  told.set_trial(id);
  *told.mutable_told() = last_told(record, id);
  told.mutable_told()->set_over(true);
  v1::TuneEvent* resumed = record.add_log();
  resumed->set_trial(id);
  resumed->set_resumed(true);
  *record.add_log() = std::move(told);
  t.clear_held();
  t.mutable_trial()->set_reason(absl::StrCat(t.trial().reason(), "; it cannot go on: its job ", job.job().id(), " is ",
                                             v1::JobState_Name(job.job().state()), ", ", job.job().reason()));
  touch(record, t);
}

void Machine::on(const v1::TrialAdvised& event) {
  v1::StudyRecord* record = find_study(event.study());
  if (!record || record->study().state() != v1::STUDY_RUNNING) return;
  if (event.trial() < 0 || event.trial() >= record->trials_size()) return;
  v1::TrialRecord& t = *record->mutable_trials(static_cast<int>(event.trial()));
  if (t.trial().state() != v1::TRIAL_RUNNING || t.trial().reports().empty()) return;
  t.mutable_trial()->set_reason("stopped early: its reports promise no good end");
  tell(*record, t, Values(t.trial().reports().rbegin()->values()), true);
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

// What measures a trial at the end of an epoch: an evaluation, or where training's own numbers are the objective, the
// epoch's last step, which is known as such when the next epoch has begun.
std::optional<v1::MetricRecord> Machine::epoch_end(v1::TrialRecord& t, const v1::MetricRecord& mark) {
  if (mark.kind() != "train") return mark;
  std::optional<v1::MetricRecord> before;
  if (t.has_last_step() && t.last_step().epoch() < mark.epoch()) before = t.last_step();
  *t.mutable_last_step() = mark;
  return before;
}

void Machine::reported(v1::StudyRecord& record, v1::TrialRecord& t, const v1::TrialReport& report) {
  *t.mutable_trial()->add_reports() = report;
  v1::TuneEvent* event = record.add_log();
  event->set_trial(t.trial().id());
  *event->mutable_reported() = report;
}

void Machine::trial_progressed(const v1::JobRecord& job, const v1::JobProgress& p) {
  v1::StudyRecord* record = find_study(job.job().study());
  if (!record || !job.job().has_trial()) return;
  v1::TrialRecord& t = *record->mutable_trials(static_cast<int>(job.job().trial()));
  const bool stopped = t.trial().state() == v1::TRIAL_STOPPED;  // on its way to a checkpoint
  if (t.trial().state() != v1::TRIAL_RUNNING && !stopped) return;
  bool news = false;
  for (const v1::MetricRecord& mark : p.marks()) {
    const std::optional<v1::MetricRecord> end = epoch_end(t, mark);
    if (!end) continue;
    const auto report = take_report(record->study().spec(), t, *end, job.job().metrics());
    if (!report) continue;
    if (stopped)
      *t.add_held() = *report;
    else
      reported(*record, t, *report);
    news = true;
  }
  if (!news) return;
  touch(*record, t);
  if (stopped) return;
  if (record->study().spec().early_stopping()) ask(*record, Tune::kJudge, t.trial().id(), record->log_size());
}

void Machine::trial_ended(v1::StudyRecord& record, v1::TrialRecord& t, const v1::JobRecord& job) {
  const v1::Job& j = job.job();
  if (j.state() == v1::CANCELLED) return fail(record, t, v1::FAILURE_USER_ERROR, j.reason());
  if (j.state() == v1::FAILED) return fail(record, t, j.failure(), j.reason());
  if (t.has_last_step())  // the last epoch, which none has followed
    if (const auto last = take_report(record.study().spec(), t, t.last_step(), j.metrics())) reported(record, t, *last);
  t.set_epochs(std::max(t.epochs(), j.spec().train().epochs()));
  for (const v1::ObjectiveSpec& o : record.study().spec().objectives()) {
    if (known(o.metric(), t.trial())) continue;
    const std::optional<double> value = measure(o.metric(), j.metrics());
    if (!value) return fail(record, t, v1::FAILURE_USER_ERROR, not_measured(j, o.metric()));
    if (!std::isfinite(*value))
      return fail(record, t, v1::FAILURE_NAN,
                  absl::StrCat("its job ", j.id(), " ended with ", o.metric(), " ", *value));
  }
  tell(record, t, measured(record.study().spec(), t.trial(), j.metrics()), false);
}

void Machine::end_trial(v1::StudyRecord& record, v1::TrialRecord& t, v1::TrialState state) {
  t.mutable_trial()->set_state(state);
  t.mutable_trial()->set_finished_at_us(now_);
  if (state != v1::TRIAL_STOPPED) t.clear_last_step();  // which may be an epoch's last, if it goes on
  touch(record, t);
  touched_studies_.at(record.order()).trials.push_back(t.trial().id());
}

void Machine::tell(v1::StudyRecord& record, v1::TrialRecord& t, const Values& measured, bool stopped) {
  int next = 0;
  for (const v1::ObjectiveSpec& o : record.study().spec().objectives()) {
    const std::optional<double> exact = known(o.metric(), t.trial());
    t.mutable_trial()->add_values(exact ? *exact : measured.Get(next++));
  }
  end_trial(record, t, stopped ? v1::TRIAL_STOPPED : v1::TRIAL_FINISHED);
  record.clear_lost_in_a_row();
  v1::TuneEvent* event = record.add_log();
  event->set_trial(t.trial().id());
  *event->mutable_told()->mutable_values() = measured;
  event->mutable_told()->set_stopped(stopped);
  const bool script = !record.study().spec().job().model().script().empty();  // others write one as they stop
  event->mutable_told()->set_over(stopped && script && state_.jobs.at(t.trial().job()).job().checkpoint().empty());
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

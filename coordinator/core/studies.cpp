// Studies as a whole: what users ask for, and what follows from where a study stands.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {
namespace {

int64_t count(const v1::StudyRecord& record, v1::TrialState state) {
  return std::count_if(record.trials().begin(), record.trials().end(),
                       [&](const v1::TrialRecord& t) { return t.trial().state() == state; });
}

int64_t trials_ended(const v1::StudyRecord& record) { return record.trials_size() - count(record, v1::TRIAL_RUNNING); }

// Those that infrastructure took from the study are no part of its budget.
int64_t trials_spent(const v1::StudyRecord& record) {
  return std::count_if(record.trials().begin(), record.trials().end(),
                       [](const v1::TrialRecord& t) { return t.trial().failure() != v1::FAILURE_INFRASTRUCTURE; });
}

bool has_value(const v1::StudyRecord& record) {
  return std::any_of(record.trials().begin(), record.trials().end(),
                     [](const v1::TrialRecord& t) { return t.trial().values_size() > 0; });
}

bool wants_trial(const v1::StudyRecord& record) {
  const v1::TuneBudgetSpec& budget = record.study().spec().budget();
  if (trials_spent(record) >= budget.trials() || count(record, v1::TRIAL_RUNNING) >= budget.parallel()) return false;
  return record.barren().empty() || trials_ended(record) > record.barren_after();
}

// The budget's new trials are all there, and something may be left to do with those that were stopped.
bool may_finish(const v1::StudyRecord& record) {
  return count(record, v1::TRIAL_RUNNING) < record.study().spec().budget().parallel() &&
         count(record, v1::TRIAL_STOPPED) > 0 && record.finished_prefix() != record.log_size();
}

Tune::What next_question(const v1::StudyRecord& record) {
  return record.suggest_finish() ? Tune::kFinish : Tune::kSuggest;
}

// Nothing but errors of the user's so far, and enough of them: they are the template's.
bool wrong_from_the_start(const v1::StudyRecord& record) {
  int64_t wrong = 0;
  for (const v1::TrialRecord& t : record.trials()) {
    if (t.trial().state() == v1::TRIAL_RUNNING || t.trial().failure() == v1::FAILURE_INFRASTRUCTURE) continue;
    if (t.trial().failure() != v1::FAILURE_USER_ERROR) return false;
    ++wrong;
  }
  return wrong >= std::min<int64_t>(kFirstTrials, record.study().spec().budget().trials());
}

std::string last_failure(const v1::StudyRecord& record) {
  for (int i = record.trials_size() - 1; i >= 0; --i) {
    const v1::Trial& t = record.trials(i).trial();
    if (t.state() == v1::TRIAL_FAILED) return absl::StrCat("trial ", t.id(), ": ", t.reason());
  }
  return record.barren();
}

std::string because(const char* what, const std::string& reason) {
  return reason.empty() ? absl::StrCat(what, " by the user") : absl::StrCat(what, ": ", reason);
}

}  // namespace

v1::StudyRecord* Machine::find_study(const std::string& id) {
  auto found = state_.studies.find(id);
  return found == state_.studies.end() ? nullptr : &found->second;
}

void Machine::touch(v1::StudyRecord& record) {
  touched_studies_.try_emplace(record.order(), TouchedStudy{record.study().state(), {}});
}

void Machine::set_study(v1::StudyRecord& record, v1::StudyState state, const std::string& reason) {
  touch(record);
  record.mutable_study()->set_state(state);
  record.mutable_study()->set_reason(reason);
}

void Machine::on(const v1::StudySubmitted& event) {
  if (!event.client_key().empty() && state_.studies_by_key.count(event.client_key())) return;
  const std::string id = next_study_id(state_, event.spec().name());
  v1::StudyRecord& record = state_.studies[id];
  record.set_order(++state_.studies_submitted);
  record.set_client_key(event.client_key());
  record.mutable_study()->set_id(id);
  *record.mutable_study()->mutable_spec() = event.spec();
  record.mutable_study()->set_created_at_us(now_);
  state_.studies_by_order[record.order()] = id;
  if (!event.client_key().empty()) state_.studies_by_key[event.client_key()] = id;
  set_study(record, v1::STUDY_RUNNING, "");
}

void Machine::on(const v1::StudyChanged& event) {
  v1::StudyRecord* record = find_study(event.id());
  if (!record || ended(record->study().state())) return;
  switch (event.change()) {
    case v1::JobChanged::CANCEL:
      return end_study(*record, v1::STUDY_CANCELLED, because("cancelled", event.reason()));
    case v1::JobChanged::PAUSE:
      return pause_study(*record, because("paused", event.reason()));
    case v1::JobChanged::RESUME:
      return resume_study(*record);
    default:
      return;
  }
}

void Machine::pause_study(v1::StudyRecord& record, const std::string& reason) {
  if (record.study().state() == v1::STUDY_PAUSED) return;
  set_study(record, v1::STUDY_PAUSED, reason);
  const std::string why = absl::StrCat("study ", record.study().id(), " is paused");
  for (const v1::TrialRecord& t : record.trials()) {
    if (t.trial().state() == v1::TRIAL_RUNNING) pause(state_.jobs.at(t.trial().job()), why);
  }
  v1::JobRecord* last = find(record.study().retrain_job());
  if (last && !ended(last->job().state())) pause(*last, why);
}

// What the tuner was asked before, it is asked again: answers that came meanwhile were not taken.
void Machine::resume_study(v1::StudyRecord& record) {
  if (record.study().state() != v1::STUDY_PAUSED) return;
  const bool trained = !record.study().retrain_job().empty();
  set_study(record, trained ? v1::STUDY_RETRAINING : v1::STUDY_RUNNING, "");
  for (const v1::TrialRecord& t : record.trials()) {
    if (t.trial().state() == v1::TRIAL_RUNNING) resume(state_.jobs.at(t.trial().job()));
  }
  v1::JobRecord* last = find(record.study().retrain_job());
  if (last && !ended(last->job().state())) resume(*last);
  if (record.has_suggest_prefix()) ask(record, next_question(record), record.trials_size(), record.suggest_prefix());
}

void Machine::end_study(v1::StudyRecord& record, v1::StudyState state, const std::string& reason) {
  set_study(record, state, reason);
  record.mutable_study()->set_finished_at_us(now_);
  record.clear_suggest_prefix();
  record.clear_recommend_prefix();
  const std::string why = absl::StrCat("study ", record.study().id(), " has ended");
  for (v1::TrialRecord& t : *record.mutable_trials()) {
    if (t.trial().state() == v1::TRIAL_RUNNING) {
      t.mutable_trial()->set_reason(why);
      end_trial(record, t, v1::TRIAL_FAILED);
    }
    v1::JobRecord& job = state_.jobs.at(t.trial().job());
    if (ended(job.job().state())) continue;
    job.mutable_job()->clear_checkpoint();  // of a trial that was stopped: nobody will go on from it
    cancel(job, why);
  }
  v1::JobRecord* last = find(record.study().retrain_job());
  if (last && !ended(last->job().state())) cancel(*last, why);
}

void Machine::ask(v1::StudyRecord& record, Tune::What what, int64_t trial, int64_t prefix) {
  touch(record);
  if (what == Tune::kSuggest || what == Tune::kFinish) {
    record.set_suggest_prefix(prefix);
    record.set_suggest_finish(what == Tune::kFinish);
  }
  if (what == Tune::kRecommend) record.set_recommend_prefix(prefix);
  effects_.push_back(Tune{what, record.study().id(), trial, prefix});
}

void Machine::settle_studies() {
  for (const int64_t order : std::exchange(ended_jobs_, {})) {
    const v1::JobRecord& job = state_.jobs.at(state_.by_order.at(order));
    v1::StudyRecord* study = find_study(job.job().study());
    if (!study || ended(study->study().state())) continue;
    if (!job.job().has_trial()) {
      retrained(*study, job);
    } else if (v1::TrialRecord& t = *study->mutable_trials(static_cast<int>(job.job().trial()));
               t.trial().state() == v1::TRIAL_RUNNING) {
      trial_ended(*study, t, job);
    } else if (t.trial().state() == v1::TRIAL_STOPPED) {
      stopped_trial_ended(*study, t, job);
    }
  }
  for (const auto& [order, touched] : touched_studies_) advance(state_.studies.at(state_.studies_by_order.at(order)));
}

// What follows from where a running study stands: the next trial, or the end.
void Machine::advance(v1::StudyRecord& record) {
  if (record.study().state() != v1::STUDY_RUNNING) return;
  if (wrong_from_the_start(record))
    return end_study(record, v1::STUDY_FAILED,
                     absl::StrCat("every trial so far failed by an error of the job's; ", last_failure(record)));
  if (record.lost_in_a_row() > kMostLost)
    return end_study(record, v1::STUDY_FAILED,
                     absl::StrCat("gave up after ", record.lost_in_a_row(),
                                  " trials in a row were lost to infrastructure; last: ", last_failure(record)));
  if (record.has_suggest_prefix()) return;
  if (wants_trial(record)) return ask(record, Tune::kSuggest, record.trials_size(), record.log_size());
  if (may_finish(record)) return ask(record, Tune::kFinish, record.trials_size(), record.log_size());
  if (count(record, v1::TRIAL_RUNNING) == 0) conclude(record);
}

// All trials have ended: the recommendation that was made of all of them is the study's.
void Machine::conclude(v1::StudyRecord& record) {
  if (!has_value(record))
    return end_study(record, v1::STUDY_FAILED,
                     absl::StrCat("no trial ended with a value; last: ", last_failure(record)));
  if (record.study().has_best() && record.recommended() == record.log_size()) {
    if (record.study().spec().retrain()) return retrain(record, "");
    return end_study(record, v1::STUDY_SUCCEEDED, record.barren());
  }
  if (!record.has_recommend_prefix() || record.recommend_prefix() != record.log_size())
    ask(record, Tune::kRecommend, 0, record.log_size());
}

// The recommended trial's job once more, to its end and under a name of its own; `after`: how the last try failed.
void Machine::retrain(v1::StudyRecord& record, const std::string& after) {
  const v1::Trial& trial = record.trials(static_cast<int>(record.study().best().trial())).trial();
  v1::JobSpec spec = state_.jobs.at(trial.job()).job().spec();
  spec.set_name(absl::StrCat(record.study().spec().name(), "-best"));
  v1::JobRecord& job = submit(spec, "");
  job.mutable_job()->set_study(record.study().id());
  std::string as = job.job().id();
  if (const int tries = record.retrainings(); tries > 0) {
    const int64_t wait = kRetrainPauseUs << (tries - 1);
    job.set_not_before_us(now_ + wait);
    set_state(job, v1::PENDING, absl::StrCat("waits ", wait / kSecondUs, " s: ", after));
    absl::StrAppend(&as, ", try ", tries + 1, " of ", kMostRetrainings, " after ", after);
  }
  record.set_retrainings(record.retrainings() + 1);
  replan_ = true;
  record.mutable_study()->set_retrain_job(job.job().id());
  set_study(record, v1::STUDY_RETRAINING,
            absl::StrCat("the configuration of trial ", trial.id(), " is trained as ", as));
}

// What a trial has shown to work is not at fault where a machine may be; an error of the job's or a loss that is not a
// number comes again.
void Machine::retrained(v1::StudyRecord& record, const v1::JobRecord& job) {
  const v1::Job& j = job.job();
  if (record.study().retrain_job() != j.id()) return;
  if (j.state() == v1::SUCCEEDED) return end_study(record, v1::STUDY_SUCCEEDED, record.barren());
  const std::string how = absl::StrCat(j.id(), " is ", v1::JobState_Name(j.state()), ": ", j.reason());
  const bool machines =
      j.state() == v1::FAILED && (j.failure() == v1::FAILURE_INFRASTRUCTURE || j.failure() == v1::FAILURE_TIMEOUT ||
                                  j.failure() == v1::FAILURE_OOM);
  if (machines && record.retrainings() < kMostRetrainings) return retrain(record, how);
  const std::string tries = machines ? absl::StrCat(" in ", record.retrainings(), " tries; the last") : "";
  end_study(record, v1::STUDY_FAILED,
            absl::StrCat("its recommended configuration was not retrained", tries, ": ", how));
}

std::vector<Tune> unanswered(const State& state) {
  std::vector<Tune> due;
  for (const auto& [order, id] : state.studies_by_order) {
    const v1::StudyRecord& record = state.studies.at(id);
    if (ended(record.study().state())) continue;
    if (record.has_suggest_prefix())
      due.push_back({next_question(record), id, record.trials_size(), record.suggest_prefix()});
    if (record.has_recommend_prefix()) due.push_back({Tune::kRecommend, id, 0, record.recommend_prefix()});
    for (const v1::TrialRecord& t : record.trials()) {
      if (t.trial().state() == v1::TRIAL_RUNNING && t.trial().reports_size() > 0)
        due.push_back({Tune::kJudge, id, t.trial().id(), record.log_size()});
    }
  }
  return due;
}

}  // namespace ds::coordinator

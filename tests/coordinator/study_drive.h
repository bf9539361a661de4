// Drives studies in tests: a tuner that answers at once and the same each time, and trials that run, report and end.
#pragma once
#include <map>
#include <utility>

#include "tests/coordinator/drive.h"

namespace ds::coordinator {

struct Budget {
  int64_t trials = 4;
  int64_t parallel = 2;
  bool retrain = false;
  std::vector<std::string> metrics = {"test_accuracy"};  // the first is to be maximized where it is this one
  bool script = false;
};

inline v1::StudySpec study_spec(const Budget& budget) {
  v1::StudySpec spec;
  spec.set_name("s");
  spec.mutable_job()->set_name("s");
  spec.mutable_job()->mutable_train()->set_epochs(3);
  spec.mutable_job()->mutable_strategy()->set_data_parallel(1);
  for (const std::string& metric : budget.metrics) {
    v1::ObjectiveSpec* objective = spec.add_objectives();
    objective->set_metric(metric);
    objective->set_maximize(metric == "test_accuracy");
  }
  spec.mutable_budget()->set_trials(budget.trials);
  spec.mutable_budget()->set_parallel(budget.parallel);
  if (budget.script) {
    spec.mutable_job()->mutable_model()->set_script("sha256:0");
    spec.mutable_job()->clear_train();
  } else {
    spec.mutable_budget()->set_max_epochs(3);
  }
  spec.set_early_stopping(true);
  spec.set_retrain(budget.retrain);
  return spec;
}

struct StudyDrive : Drive {
  std::string study(const Budget& budget = {}) {
    const std::string id = next_study_id(state, "s");
    v1::Event event;
    *event.mutable_study_submitted()->mutable_spec() = study_spec(budget);
    (void)apply(event);
    return id;
  }
  const v1::StudyRecord& record(const std::string& id) const { return state.studies.at(id); }
  v1::Study shown(const std::string& id) const { return view(record(id)); }
  const v1::Trial& trial(const std::string& id, int k) const { return record(id).trials(k).trial(); }
  v1::Job job_of(const std::string& id, int k) const { return job(trial(id, k).job()); }

  static v1::Event suggestion(const Tune& question) {
    v1::Event event;
    v1::TrialSuggested* out = event.mutable_suggested();
    out->set_study(question.study);
    out->set_trial(question.trial);
    out->set_prefix(question.prefix);
    out->add_point(static_cast<double>(question.trial));
    out->set_source("test");
    out->set_params_count(1000 + static_cast<double>(question.trial));
    (*out->mutable_params())["train.seed"] = absl::StrCat(question.trial);
    *out->mutable_job() = study_spec({}).job();
    out->mutable_job()->set_name(absl::StrCat("s-trial-", question.trial));
    return event;
  }
  static v1::Event recommendation(const Tune& question, int64_t trial) {
    v1::Event event;
    event.mutable_recommended()->set_study(question.study);
    event.mutable_recommended()->set_prefix(question.prefix);
    event.mutable_recommended()->mutable_best()->set_trial(trial);
    event.mutable_recommended()->mutable_best()->set_best_value(0.5);
    return event;
  }
  void resumes(const Tune& question, int64_t trial) {
    v1::Event event;
    event.mutable_suggested()->set_study(question.study);
    event.mutable_suggested()->set_trial(question.trial);
    event.mutable_suggested()->set_prefix(question.prefix);
    event.mutable_suggested()->set_resumes(trial);
    (void)apply(event);
  }
  void finishes_none(const Tune& question) {
    v1::Event event;
    event.mutable_suggested()->set_study(question.study);
    event.mutable_suggested()->set_trial(question.trial);
    event.mutable_suggested()->set_prefix(question.prefix);
    (void)apply(event);
  }
  // The trial with the best value is recommended; nothing is judged hopeless, or worth finishing.
  void answer(Tune question) {
    if (question.what == Tune::kSuggest) (void)apply(suggestion(question));
    if (question.what == Tune::kFinish) finishes_none(question);
    if (question.what != Tune::kRecommend) return;
    int64_t best = 0;
    double value = -1;
    for (const v1::TrialRecord& t : record(question.study).trials()) {
      if (t.trial().values_size() > 0 && t.trial().values(0) > value)
        best = t.trial().id(), value = t.trial().values(0);
    }
    (void)apply(recommendation(question, best));
  }
  void answer_all() {
    while (!asked.empty()) {
      const std::vector<Tune> now = std::exchange(asked, {});
      for (const Tune& question : now) answer(question);
    }
  }
  void fail_to_suggest(const Tune& question, const std::string& error) {
    v1::Event event;
    event.mutable_suggested()->set_study(question.study);
    event.mutable_suggested()->set_trial(question.trial);
    event.mutable_suggested()->set_prefix(question.prefix);
    event.mutable_suggested()->set_error(error);
    (void)apply(event);
  }
  void advise(const std::string& id, int64_t trial) {
    v1::Event event;
    event.mutable_advised()->set_study(id);
    event.mutable_advised()->set_trial(trial);
    (void)apply(event);
  }
  absl::Status change_study(const std::string& id, v1::JobChanged::Change change) {
    v1::Event event;
    event.mutable_study_changed()->set_id(id);
    event.mutable_study_changed()->set_change(change);
    return apply(event);
  }

  void start_job(const v1::Job& j) {
    report(j.ranks(0).worker(), j.id(), j.generation(), 0, v1::RANK_READY);
    report(j.ranks(0).worker(), j.id(), j.generation(), 0, v1::RANK_RUNNING);
  }
  // An evaluation at the end of an epoch (1, 2, ...).
  void evaluates(const v1::Job& j, int64_t epoch, double accuracy) {
    v1::Event event;
    v1::JobProgress* p = event.mutable_progressed()->add_jobs();
    p->set_job(j.id());
    p->set_generation(j.generation());
    p->mutable_progress()->set_step(epoch * 10);
    p->mutable_metrics()->set_test_accuracy(accuracy);
    v1::MetricRecord* e = p->add_marks();
    e->set_kind("eval");
    e->set_epoch(epoch - 1);
    e->set_accuracy(accuracy);
    e->set_loss(0);
    (void)apply(event);
  }
  // Training's own numbers after the last step so far of an epoch (1, 2, ...).
  void steps(const v1::Job& j, int64_t epoch, double loss) {
    v1::Event event;
    v1::JobProgress* p = event.mutable_progressed()->add_jobs();
    p->set_job(j.id());
    p->set_generation(j.generation());
    p->mutable_metrics()->set_loss(loss);
    v1::MetricRecord* step = p->add_marks();
    step->set_kind("train");
    step->set_epoch(epoch - 1);
    step->set_loss(loss);
    (void)apply(event);
  }
  // What a script reports of an evaluation, by names of its own, before or after it has been paused.
  void reports(const v1::Job& j, int64_t step, const std::map<std::string, double>& figures) {
    v1::Event event;
    v1::JobProgress* p = event.mutable_progressed()->add_jobs();
    p->set_job(j.id());
    p->set_generation(j.generation());
    p->mutable_metrics()->mutable_reported()->insert(figures.begin(), figures.end());
    v1::MetricRecord* e = p->add_marks();
    e->set_kind("eval");
    e->set_step(step);
    e->mutable_reported()->insert(figures.begin(), figures.end());
    (void)apply(event);
  }
  void ends(const v1::Job& j, int code = 0, Exit how = {}) {
    exit(j.ranks(0).worker(), j.id(), j.generation(), 0, code, std::move(how));
  }
  // From placed to its end, with one evaluation.
  void succeeds(const v1::Job& j, double accuracy) {
    start_job(j);
    evaluates(j, 3, accuracy);
    ends(j);
  }
};

}  // namespace ds::coordinator

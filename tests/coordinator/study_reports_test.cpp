// What trials are measured by: evaluations, a script's own figures, and training's own numbers, epoch by epoch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/coordinator/study_drive.h"

namespace ds::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(StudyReports, AScriptsTrialIsMeasuredByItsEvaluations) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 1, .parallel = 1, .metrics = {"f1"}, .script = true});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.reports(job, 10, {{"other", 7}});  // says nothing of the objective
  d.reports(job, 10, {{"f1", 0.25}});
  d.reports(job, 20, {{"f1", 0.5}});
  d.reports(job, 20, {{"f1", 0.5}});  // told again, as after a restart
  d.reports(job, 30, {{"f1", std::nan("")}});
  d.reports(job, 40, {{"f1", 0.75}});
  std::vector<std::pair<int64_t, double>> seen;
  for (const v1::TrialReport& r : d.trial(id, 0).reports()) seen.emplace_back(r.step(), r.values(0));
  EXPECT_THAT(seen, ElementsAre(std::pair(1, 0.25), std::pair(2, 0.5), std::pair(3, 0.75)));
  EXPECT_TRUE(std::any_of(d.asked.begin(), d.asked.end(), [](const Tune& q) { return q.what == Tune::kJudge; }));
  d.ends(job);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FINISHED);
  EXPECT_EQ(d.trial(id, 0).values(0), 0.75);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
}

TEST(StudyReports, AnEvaluationBeforeTrainingIsAReport) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 1, .parallel = 1, .metrics = {"f1"}, .script = true});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.reports(job, 0, {{"f1", 0.125}});
  d.reports(job, 0, {{"f1", 0.125}});  // told again, as after a restart
  d.reports(job, 10, {{"f1", 0.25}});
  std::vector<std::pair<int64_t, double>> seen;
  for (const v1::TrialReport& r : d.trial(id, 0).reports()) seen.emplace_back(r.step(), r.values(0));
  EXPECT_THAT(seen, ElementsAre(std::pair(1, 0.125), std::pair(2, 0.25)));
}

void evaluate_script(StudyDrive& d, const v1::Job& job, int64_t times) {
  d.start_job(job);
  for (int64_t k = 1; k <= times; ++k) d.reports(job, 10 * k, {{"f1", 0.25}});
}

TEST(StudyReports, WhatAScriptsStoppedTrialHadLeftIsWhatOthersTookInTheMiddle) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 5, .parallel = 1, .metrics = {"f1"}, .script = true});
  d.answer_all();
  for (const int64_t times : {4, 20, 6}) {
    const v1::Job job = d.job_of(id, d.record(id).trials_size() - 1);
    evaluate_script(d, job, times);
    d.ends(job);
    d.answer_all();
  }
  const v1::Job job = d.job_of(id, 3);
  evaluate_script(d, job, 1);
  d.advise(id, 3);
  EXPECT_EQ(d.trial(id, 3).state(), v1::TRIAL_STOPPED);
  d.ends(job, 75, {.stopped = true});
  EXPECT_EQ(d.job(job.id()).state(), v1::PAUSED);
  EXPECT_EQ(d.shown(id).epochs(), 4 + 20 + 6 + 1);
  EXPECT_EQ(d.shown(id).epochs_saved(), 6 - 1);
  d.answer_all();
  const v1::Job longer = d.job_of(id, 4);
  evaluate_script(d, longer, 9);
  d.advise(id, 4);
  EXPECT_EQ(d.shown(id).epochs_saved(), 6 - 1) << "one that took longer than the others has saved none";
}

TEST(StudyReports, BeforeATrialIsWholeAScriptsSavingsAreNotKnown) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1, .metrics = {"f1"}, .script = true});
  d.answer_all();
  evaluate_script(d, d.job_of(id, 0), 1);
  d.advise(id, 0);
  EXPECT_EQ(d.trial(id, 0).values(0), 0.25);
  EXPECT_EQ(d.shown(id).epochs_saved(), 0);
}

TEST(StudyReports, AScriptThatDidNotReportTheObjectiveIsTheUsersErrorAndSaysWhatItDid) {
  for (const char* metric : {"f1", "test_loss", "loss", "samples_per_second"}) {
    StudyDrive d;
    d.worker("w1", 1);
    const std::string id = d.study({.trials = 1, .parallel = 1, .metrics = {metric}, .script = true});
    d.answer_all();
    d.start_job(d.job_of(id, 0));
    d.reports(d.job_of(id, 0), 10, {{"bleu", 0.25}});
    d.ends(d.job_of(id, 0));
    EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FAILED);
    EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_USER_ERROR);
    EXPECT_THAT(d.trial(id, 0).reason(), HasSubstr(absl::StrCat("ended without a ", metric, "; it reported bleu")));
  }
}

TEST(StudyReports, TwoMeasuredObjectivesAreReportedAndToldTogether) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1, .metrics = {"test_accuracy", "test_loss"}});
  d.answer_all();
  d.start_job(d.job_of(id, 0));
  v1::Event event;
  v1::JobProgress* p = event.mutable_progressed()->add_jobs();
  p->set_job(d.job_of(id, 0).id());
  p->set_generation(1);
  p->mutable_metrics()->set_test_accuracy(0.8);
  p->mutable_metrics()->set_test_loss(0.5);
  v1::MetricRecord* e = p->add_marks();
  e->set_kind("eval");
  e->set_accuracy(0.8);
  e->set_loss(0.5);
  ASSERT_TRUE(d.apply(event).ok());
  EXPECT_THAT(d.trial(id, 0).reports(0).values(), ElementsAre(0.8, 0.5));
  d.ends(d.job_of(id, 0));
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(0.8, 0.5));
}

TEST(StudyReports, TrainingsOwnNumbersAreReportedAtTheEndOfEachEpoch) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1, .metrics = {"loss"}});
  EXPECT_TRUE(measured_by_steps(d.record(id).study().spec()));
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.steps(job, 1, 0.9);
  d.steps(job, 1, 0.8);
  EXPECT_EQ(d.trial(id, 0).reports_size(), 0) << "the epoch may go on";
  d.steps(job, 2, 0.7);
  ASSERT_EQ(d.trial(id, 0).reports_size(), 1);
  EXPECT_EQ(d.trial(id, 0).reports(0).step(), 1);
  EXPECT_THAT(d.trial(id, 0).reports(0).values(), ElementsAre(0.8));
  EXPECT_EQ(d.asked.back().what, Tune::kJudge);
  d.steps(job, 1, 0.95);  // begun anew
  d.steps(job, 2, 0.75);
  EXPECT_EQ(d.trial(id, 0).reports_size(), 1) << "told again";
  d.steps(job, 3, 0.6);
  ASSERT_EQ(d.trial(id, 0).reports_size(), 2);
  d.ends(job);
  ASSERT_EQ(d.trial(id, 0).reports_size(), 3) << "no other epoch has followed the last one, and it is over";
  EXPECT_THAT(d.trial(id, 0).reports(1).values(), ElementsAre(0.75));
  EXPECT_EQ(d.trial(id, 0).reports(2).step(), 3);
  EXPECT_THAT(d.trial(id, 0).reports(2).values(), ElementsAre(0.6));
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(0.6));
  EXPECT_EQ(d.record(id).log(3).reported().step(), 3) << "before it is told";
  EXPECT_TRUE(d.record(id).log(4).has_told());
}

TEST(StudyReports, TheLastEpochOfALossThatIsNoNumberIsNoReport) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1, .metrics = {"loss"}});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.steps(job, 1, 0.9);
  d.steps(job, 2, std::nan(""));
  d.ends(job);
  EXPECT_EQ(d.trial(id, 0).reports_size(), 1);
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_NAN);
}

}  // namespace
}  // namespace ds::coordinator

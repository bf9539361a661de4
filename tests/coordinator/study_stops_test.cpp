// Trials that are stopped early: paused at a checkpoint, resumed where they promise more than a new one, and finished
// before the study ends where they may lead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/study_drive.h"

namespace ds::coordinator {
namespace {

using ::testing::ElementsAre;

TEST(StudyStops, AHopelessTrialIsPausedAndItsJobEndsWithTheStudy) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1});
  d.answer_all();
  const v1::Job stopped = d.job_of(id, 0);
  d.start_job(stopped);
  d.evaluates(stopped, 1, 0.1);
  d.sent("w1");
  d.advise(id, 0);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
  EXPECT_EQ(d.trial(id, 0).values(0), 0.1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop+checkpoint " + stopped.id() + " g1 r0"));
  d.ends(stopped, 75, {.stopped = true});
  EXPECT_EQ(d.job(stopped.id()).state(), v1::PAUSED);
  d.answer_all();
  EXPECT_EQ(d.shown(id).epochs_saved(), 2);
  d.succeeds(d.job_of(id, 1), 0.5);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.job(stopped.id()).state(), v1::CANCELLED);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
}

// One slot: trial 0 is stopped after an epoch of 0.1, its job is paused, and the next question waits for its answer.
std::string study_with_one_stopped(StudyDrive& d, int64_t trials) {
  d.worker("w1", 1);
  const std::string id = d.study({.trials = trials, .parallel = 1});
  d.answer_all();
  const v1::Job first = d.job_of(id, 0);
  d.start_job(first);
  d.evaluates(first, 1, 0.1);
  d.asked.clear();  // the judge's
  d.advise(id, 0);
  d.ends(first, 75, {.stopped = true});
  return id;
}

Tune question_of(StudyDrive& d, Tune::What what) {
  for (const Tune& question : unanswered(d.state))
    if (question.what == what) return question;
  ADD_FAILURE() << "nothing of the kind was asked";
  return {};
}

// The last new trial ends with 0.5: what is asked then.
Tune question_to_finish(StudyDrive& d, const std::string& id) {
  d.answer_all();
  d.succeeds(d.job_of(id, 1), 0.5);
  d.asked.clear();
  return question_of(d, Tune::kFinish);
}

TEST(StudyStops, AStoppedTrialGoesOnInPlaceOfANewOne) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 3);
  d.resumes(question_of(d, Tune::kSuggest), 0);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_RUNNING);
  EXPECT_EQ(d.trial(id, 0).values_size(), 0);
  EXPECT_EQ(d.trial(id, 0).reason(), "");
  EXPECT_EQ(d.trial(id, 0).resumed(), 1);
  EXPECT_EQ(d.record(id).trials_size(), 1);
  EXPECT_TRUE(d.record(id).log().rbegin()->resumed());
  const v1::Job again = d.job_of(id, 0);
  ASSERT_EQ(again.state(), v1::ADMITTED);
  d.start_job(again);
  d.evaluates(again, 1, 0.1);  // what the checkpoint had not
  d.succeeds(again, 0.7);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FINISHED);
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(0.7));
  EXPECT_EQ(d.shown(id).epochs_saved(), 0);
  d.answer_all();
  EXPECT_EQ(d.trial(id, 1).state(), v1::TRIAL_RUNNING);
}

TEST(StudyStops, BeforeItEndsWhatIsWorthItIsFinished) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 2);
  const Tune question = question_to_finish(d, id);
  State restarted = from_snapshot(to_snapshot(d.state));
  const std::vector<Tune> due = unanswered(restarted);
  ASSERT_FALSE(due.empty());
  EXPECT_EQ(due[0].what, Tune::kFinish);
  EXPECT_EQ(due[0].prefix, question.prefix);
  d.resumes(question, 0);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_RUNNING);
  d.succeeds(d.job_of(id, 0), 0.7);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.shown(id).best().trial(), 0);
}

TEST(StudyStops, WhatIsNotWorthFinishingIsAskedOfOnce) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 2);
  const Tune question = question_to_finish(d, id);
  d.finishes_none(question);
  EXPECT_THAT(d.asked, ::testing::IsEmpty());
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_RUNNING) << "its recommendation is being made";
  d.answer(question_of(d, Tune::kRecommend));
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
}

// What cannot be answered is not asked for ever.
TEST(StudyStops, AnErrorInPlaceOfATrialToFinishEndsTheQuestion) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 2);
  const Tune question = question_to_finish(d, id);
  d.fail_to_suggest(question, "the log says nothing");
  EXPECT_THAT(d.asked, ::testing::IsEmpty());
  d.answer(question_of(d, Tune::kRecommend));
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
}

TEST(StudyStops, AStoppedTrialWhoseJobCameToItsEndIsToldAtOnce) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 3, .parallel = 1});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.evaluates(job, 1, 0.1);
  d.advise(id, 0);
  d.evaluates(job, 2, 0.4);
  EXPECT_EQ(d.trial(id, 0).reports_size(), 1);
  d.succeeds(job, 0.7);  // before it could stop
  ASSERT_EQ(d.job(job.id()).state(), v1::SUCCEEDED);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FINISHED);
  EXPECT_EQ(d.trial(id, 0).resumed(), 0) << "it never stood still";
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(0.7));
  ASSERT_EQ(d.trial(id, 0).reports_size(), 3) << "its curve is whole, for forecasts";
  EXPECT_EQ(d.trial(id, 0).reports(1).values(0), 0.4);
}

// What the log says of a trial's last end.
v1::TuneEvent::Told last_told(const StudyDrive& d, const std::string& id, int64_t trial) {
  v1::TuneEvent::Told out;
  for (const v1::TuneEvent& e : d.record(id).log())
    if (e.trial() == trial && e.has_told()) out = e.told();
  return out;
}

TEST(StudyStops, AStoppedTrialWhoseJobIsCancelledStaysStoppedAndTheStudyGoesOn) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 3);
  const std::string job = d.trial(id, 0).job();
  ASSERT_EQ(d.job(job).state(), v1::PAUSED);
  const Tune before = question_of(d, Tune::kSuggest);
  ASSERT_TRUE(d.change(job, v1::JobChanged::CANCEL).ok());
  EXPECT_TRUE(last_told(d, id, 0).over()) << "else it is suggested again";
  EXPECT_THAT(last_told(d, id, 0).values(), ElementsAre(0.1));
  EXPECT_TRUE(d.record(id).log(d.record(id).log_size() - 2).resumed()) << "as only what runs is told";
  EXPECT_THAT(d.trial(id, 0).reason(), ::testing::HasSubstr("it cannot go on: its job s-trial-0-1 is CANCELLED"));
  d.resumes(before, 0);  // an answer of before
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(0.1));
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_UNSPECIFIED);
  EXPECT_EQ(question_of(d, Tune::kSuggest).prefix, d.record(id).log_size()) << "asked again, as it stands now";
  d.answer_all();
  EXPECT_EQ(d.trial(id, 1).state(), v1::TRIAL_RUNNING);
}

TEST(StudyStops, AStoppedTrialIsCancelledOnItsWayToACheckpoint) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.evaluates(job, 1, 0.1);
  d.advise(id, 0);
  d.evaluates(job, 2, 0.4);
  ASSERT_TRUE(d.change(job.id(), v1::JobChanged::CANCEL).ok());
  d.ends(job, 75, {.stopped = true});
  ASSERT_EQ(d.job(job.id()).state(), v1::CANCELLED);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
  EXPECT_TRUE(last_told(d, id, 0).over());
  EXPECT_EQ(d.trial(id, 0).reports_size(), 1);
  d.answer_all();
  d.succeeds(d.job_of(id, 1), 0.5);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
}

// It is over to the tuner, which takes nothing more of it.
TEST(StudyStops, AScriptThatWasStoppedForGoodIsNotToldThoughItCameToItsEnd) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 3, .parallel = 1, .metrics = {"f1"}, .script = true});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.reports(job, 10, {{"f1", 0.25}});
  d.advise(id, 0);
  ASSERT_TRUE(last_told(d, id, 0).over());
  const int64_t length = d.record(id).log_size();
  d.reports(job, 20, {{"f1", 0.5}});
  d.ends(job);
  ASSERT_EQ(d.job(job.id()).state(), v1::SUCCEEDED);
  EXPECT_EQ(d.record(id).log_size(), length);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
}

TEST(StudyStops, TheLastEpochBeforeATrialWasStoppedIsKnownWhenItGoesOn) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 3, .parallel = 1, .metrics = {"loss"}});
  d.answer_all();
  const v1::Job job = d.job_of(id, 0);
  d.start_job(job);
  d.steps(job, 1, 0.9);
  d.steps(job, 2, 0.8);  // of its last step
  d.asked.clear();
  d.advise(id, 0);
  d.ends(job, 75, {.stopped = true});
  d.resumes(question_of(d, Tune::kSuggest), 0);
  const v1::Job again = d.job_of(id, 0);
  d.start_job(again);
  d.steps(again, 3, 0.7);
  d.ends(again);
  std::vector<double> curve;
  for (const v1::TrialReport& r : d.trial(id, 0).reports()) curve.push_back(r.values(0));
  EXPECT_THAT(curve, ElementsAre(0.9, 0.8, 0.7));
}

TEST(StudyStops, AScriptWithoutACheckpointIsStoppedForGood) {
  for (const bool saved : {false, true}) {
    StudyDrive d;
    d.worker("w1", 1);
    const std::string id = d.study({.trials = 3, .parallel = 1, .metrics = {"f1"}, .script = true});
    d.answer_all();
    const v1::Job job = d.job_of(id, 0);
    d.start_job(job);
    d.reports(job, 10, {{"f1", 0.25}});
    d.state.jobs.at(job.id()).mutable_job()->set_checkpoint(saved ? "step-10" : "");
    d.advise(id, 0);
    ASSERT_EQ(d.trial(id, 0).state(), v1::TRIAL_STOPPED);
    EXPECT_EQ(last_told(d, id, 0).over(), !saved);
  }
}

TEST(StudyStops, OnlyWhatIsStoppedGoesOn) {
  StudyDrive d;
  const std::string id = study_with_one_stopped(d, 3);
  d.answer_all();
  d.succeeds(d.job_of(id, 1), 0.5);
  const int64_t length = d.record(id).log_size();
  d.resumes(question_of(d, Tune::kSuggest), 1);
  EXPECT_EQ(d.trial(id, 1).state(), v1::TRIAL_FINISHED);
  EXPECT_EQ(d.record(id).log_size(), length);
  d.resumes(question_of(d, Tune::kSuggest), 7);
  EXPECT_EQ(d.record(id).log_size(), length);
}

TEST(StudyStops, AdviceForATrialThatHasEndedComesTooLate) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.5);
  d.advise(id, 0);
  d.advise(id, 7);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FINISHED);
}

}  // namespace
}  // namespace ds::coordinator

// Studies, event by event: trials as jobs, what the tuner is asked, and how a study ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/coordinator/study_drive.h"

namespace ds::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Studies, KeepTrialsUnderWayUntilTheBudgetIsBegun) {
  StudyDrive d;
  d.worker("w1", 4);
  const std::string id = d.study({.trials = 3, .parallel = 2});
  EXPECT_EQ(id, "s-1");
  ASSERT_EQ(d.asked.size(), 1u);
  EXPECT_EQ(d.asked[0].what, Tune::kSuggest);
  EXPECT_EQ(d.asked[0].prefix, 0);
  d.answer_all();
  ASSERT_EQ(d.record(id).trials_size(), 2);
  EXPECT_EQ(d.job_of(id, 1).study(), id);
  EXPECT_EQ(d.job_of(id, 1).trial(), 1);
  EXPECT_EQ(d.job_of(id, 0).state(), v1::ADMITTED);
  d.succeeds(d.job_of(id, 0), 0.7);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FINISHED);
  EXPECT_EQ(d.trial(id, 0).values(0), 0.7);
  d.answer_all();
  ASSERT_EQ(d.record(id).trials_size(), 3);
  d.succeeds(d.job_of(id, 2), 0.9);
  d.answer_all();
  EXPECT_EQ(d.record(id).trials_size(), 3);
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_RUNNING);
  d.succeeds(d.job_of(id, 1), 0.8);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.shown(id).best().trial(), 2);
  EXPECT_EQ(d.shown(id).trials_finished(), 3);
  EXPECT_EQ(d.shown(id).epochs(), 9);
  EXPECT_GT(d.shown(id).finished_at_us(), 0);
}

TEST(Studies, TheSameClientKeyIsTheSameStudy) {
  StudyDrive d;
  v1::Event event;
  *event.mutable_study_submitted()->mutable_spec() = study_spec({});
  event.mutable_study_submitted()->set_client_key("k");
  ASSERT_TRUE(d.apply(event).ok());
  ASSERT_TRUE(d.apply(event).ok());
  EXPECT_EQ(d.state.studies.size(), 1u);
}

TEST(Studies, AnAnswerCountsOnceAndOnlyIfItIsStillWanted) {
  StudyDrive d;
  const std::string id = d.study({.parallel = 1});
  const v1::Event first = StudyDrive::suggestion(d.asked.at(0));
  v1::Event other = first;
  other.mutable_suggested()->set_prefix(1);
  ASSERT_TRUE(d.apply(other).ok());
  EXPECT_EQ(d.record(id).trials_size(), 0);
  ASSERT_TRUE(d.apply(first).ok());
  ASSERT_TRUE(d.apply(first).ok());
  EXPECT_EQ(d.record(id).trials_size(), 1);
  EXPECT_EQ(d.state.jobs.size(), 1u);
}

TEST(Studies, WhatWasNotAnsweredIsAskedAgainWithTheSamePrefix) {
  StudyDrive d;
  d.worker("w1", 2);
  const std::string id = d.study({.trials = 2, .parallel = 1});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.5);
  State restarted = from_snapshot(to_snapshot(d.state));
  const std::vector<Tune> due = unanswered(restarted);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0].what, Tune::kSuggest);
  EXPECT_EQ(due[0].trial, 1);
  EXPECT_EQ(due[0].prefix, 3);  // asked, reported, told
  EXPECT_EQ(due[1].what, Tune::kRecommend);
  d.answer_all();
  d.start_job(d.job_of(id, 1));
  d.evaluates(d.job_of(id, 1), 1, 0.3);
  const std::vector<Tune> later = unanswered(d.state);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].what, Tune::kJudge);
}

TEST(Studies, EveryEpochIsReportedOnceWhateverIsToldAgain) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1});
  d.answer_all();
  d.start_job(d.job_of(id, 0));
  d.evaluates(d.job_of(id, 0), 1, 0.1);
  d.evaluates(d.job_of(id, 0), 1, 0.1);
  d.evaluates(d.job_of(id, 0), 2, 0.2);
  ASSERT_EQ(d.trial(id, 0).reports_size(), 2);
  EXPECT_EQ(d.trial(id, 0).reports(1).step(), 2);
  EXPECT_EQ(d.trial(id, 0).reports(1).values(0), 0.2);
  EXPECT_EQ(d.shown(id).epochs(), 2);
  ASSERT_EQ(d.asked.size(), 2u);
  EXPECT_EQ(d.asked[1].what, Tune::kJudge);
}

TEST(Studies, TheClassOfAFailureIsTheRanks) {
  const std::pair<v1::FailureClass, v1::FailureClass> named[] = {{v1::FAILURE_NAN, v1::FAILURE_NAN},
                                                                 {v1::FAILURE_UNSPECIFIED, v1::FAILURE_USER_ERROR}};
  for (const auto& [said, seen] : named) {
    StudyDrive d;
    d.worker("w1", 1);
    const std::string id = d.study({.parallel = 1});
    d.answer_all();
    d.start_job(d.job_of(id, 0));
    d.ends(d.job_of(id, 0), 2, {.detail = "why", .failure = said});
    EXPECT_EQ(d.job_of(id, 0).failure(), seen);
    EXPECT_EQ(d.trial(id, 0).failure(), seen);
    EXPECT_THAT(d.trial(id, 0).reason(), HasSubstr("why"));
    EXPECT_EQ(d.record(id).log(1).failed(), seen);
  }
}

// Restarted until its budget is spent, one way each time.
void exhaust(StudyDrive& d, const std::string& job, const std::vector<v1::FailureClass>& ways) {
  for (int k = 0; k < 200 && !ended(d.job(job).state()); ++k) {
    const v1::Job now = d.job(job);
    if (now.state() == v1::ADMITTED) {
      d.ends(now, 137, {.retryable = true, .failure = ways[static_cast<size_t>(k) % ways.size()]});
    }
    d.now += 1'000'000;
    d.tick();
  }
}

TEST(Studies, AJobThatWasRestartedTooOftenIsOfItsMostTellingClass) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1});
  d.answer_all();
  exhaust(d, d.trial(id, 0).job(), {v1::FAILURE_INFRASTRUCTURE, v1::FAILURE_TIMEOUT, v1::FAILURE_INFRASTRUCTURE});
  EXPECT_EQ(d.job_of(id, 0).state(), v1::FAILED);
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_TIMEOUT);
}

TEST(Studies, ATrialOutOfMemoryFailsAtOnceAndAPlainJobIsTriedAgain) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1});
  d.answer_all();
  d.start_job(d.job_of(id, 0));
  const Exit killed = {.retryable = true, .detail = "killed for want of memory", .failure = v1::FAILURE_OOM};
  d.ends(d.job_of(id, 0), 137, killed);
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_OOM);
  EXPECT_THAT(d.trial(id, 0).reason(), HasSubstr("want of memory"));
  EXPECT_EQ(d.job_of(id, 0).restarts(), 0);
  EXPECT_EQ(d.job_of(id, 0).generation(), 1);
  (void)d.change_study(id, v1::JobChanged::CANCEL);
  const std::string plain = d.submit("plain", 1);
  d.start_job(d.job(plain));
  d.ends(d.job(plain), 137, killed);
  EXPECT_EQ(d.job(plain).generation(), 2);
}

TEST(Studies, ATrialOutOfMemoryFailsThoughItsPeerWasHeardFirst) {
  StudyDrive d;
  d.worker("w1", 2);
  const std::string id = d.study({.parallel = 1});
  v1::Event first = StudyDrive::suggestion(d.asked.at(0));
  first.mutable_suggested()->mutable_job()->mutable_strategy()->set_data_parallel(2);
  ASSERT_TRUE(d.apply(first).ok());
  const v1::Job job = d.job_of(id, 0);
  for (int r = 0; r < 2; ++r) d.report("w1", job.id(), 1, r, v1::RANK_RUNNING);
  d.exit("w1", job.id(), 1, 1, 1,
         {.retryable = true, .detail = "a peer is gone", .failure = v1::FAILURE_INFRASTRUCTURE});
  d.exit("w1", job.id(), 1, 0, 137, {.retryable = true, .detail = "no memory", .failure = v1::FAILURE_OOM});
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_OOM);
  EXPECT_EQ(d.job_of(id, 0).state(), v1::FAILED);
  EXPECT_EQ(d.job_of(id, 0).restarts(), 0);
}

TEST(Studies, WhatInfrastructureTookIsNoPartOfTheBudget) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 1, .parallel = 1});
  d.answer_all();
  exhaust(d, d.trial(id, 0).job(), {v1::FAILURE_INFRASTRUCTURE});
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_INFRASTRUCTURE);
  d.answer_all();
  ASSERT_EQ(d.record(id).trials_size(), 2);
  d.succeeds(d.job_of(id, 1), 0.5);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
}

TEST(Studies, ABrokenClusterDoesNotKeepOneGoingForEver) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 1, .parallel = 1});
  for (int k = 0; k < 20 && !ended(d.shown(id).state()); ++k) {
    d.answer_all();
    exhaust(d, d.trial(id, k).job(), {v1::FAILURE_INFRASTRUCTURE});
  }
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_FAILED);
  EXPECT_THAT(d.shown(id).reason(), HasSubstr("6 trials in a row were lost to infrastructure"));
}

TEST(Studies, AnErrorOfTheTemplatesFailsTheStudyWithItsSentence) {
  StudyDrive d;
  d.worker("w1", 4);
  const std::string id = d.study({.trials = 9, .parallel = 4});
  d.answer_all();
  for (int k = 0; k < 3; ++k) {
    EXPECT_EQ(d.shown(id).state(), v1::STUDY_RUNNING);
    d.start_job(d.job_of(id, k));
    d.ends(d.job_of(id, k), 2, {.detail = "[data] no folder x"});
    if (k < 2) d.answer_all();
  }
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_FAILED);
  EXPECT_THAT(d.shown(id).reason(), HasSubstr("[data] no folder x"));
  EXPECT_EQ(d.shown(id).trials_running(), 0);
  EXPECT_EQ(d.state.jobs.at(d.trial(id, 3).job()).stop(), v1::STOP_TO_CANCEL);
}

TEST(Studies, OneTrialWithAValueSaysThatTheTemplateIsGood) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 5, .parallel = 1});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.5);
  for (int k = 1; k < 5; ++k) {
    d.answer_all();
    d.start_job(d.job_of(id, k));
    d.ends(d.job_of(id, k), 2, {.detail = "no"});
  }
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.shown(id).trials_failed(), 4);
}

TEST(Studies, AJobWithoutTheMetricIsAnErrorOfTheUsers) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1});
  d.answer_all();
  d.start_job(d.job_of(id, 0));
  d.ends(d.job_of(id, 0));
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_USER_ERROR);
  EXPECT_THAT(d.trial(id, 0).reason(), HasSubstr("ended without a test_accuracy"));
}

TEST(Studies, OfTwoObjectivesTheKnownOneIsNotMeasured) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1, .metrics = {"params", "test_accuracy"}});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.7);
  EXPECT_THAT(d.trial(id, 0).values(), ElementsAre(1000, 0.7));
  EXPECT_THAT(d.trial(id, 0).reports(0).values(), ElementsAre(0.7));
  const v1::TuneEvent& told = *d.record(id).log().rbegin();
  EXPECT_THAT(told.told().values(), ElementsAre(0.7)) << "the tuner computes the other";
}

TEST(Studies, AValueThatIsNoNumberIsAFailureOfThatClass) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.parallel = 1});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), std::nan(""));
  EXPECT_EQ(d.trial(id, 0).reports_size(), 0);
  EXPECT_EQ(d.trial(id, 0).failure(), v1::FAILURE_NAN);
  EXPECT_THAT(d.trial(id, 0).reason(), HasSubstr("ended with test_accuracy nan"));
}

TEST(Studies, ValuesOfAnOldLogAreReadAsOneObjectives) {
  const std::string old("\x09\0\0\0\0\0\0\xe8\x3f", 9);  // a Told of before there were two: 1: 0.75
  v1::TuneEvent::Told told;
  ASSERT_TRUE(told.ParseFromString(old));
  EXPECT_THAT(told.values(), ElementsAre(0.75));
}

TEST(Studies, PausePausesTheTrialsAndResumeGoesOn) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 3, .parallel = 2});
  d.answer(d.asked.at(0));
  const Tune second = d.asked.at(1);
  d.asked.clear();
  d.start_job(d.job_of(id, 0));
  ASSERT_TRUE(d.change_study(id, v1::JobChanged::PAUSE).ok());
  d.ends(d.job_of(id, 0), 75, {.stopped = true});
  EXPECT_EQ(d.job_of(id, 0).state(), v1::PAUSED);
  d.answer(second);
  EXPECT_EQ(d.record(id).trials_size(), 1) << "begun while it was paused";
  EXPECT_TRUE(d.asked.empty());
  ASSERT_TRUE(d.change_study(id, v1::JobChanged::RESUME).ok());
  EXPECT_EQ(d.job_of(id, 0).state(), v1::ADMITTED);
  ASSERT_EQ(d.asked.size(), 1u);
  EXPECT_EQ(d.asked[0].prefix, second.prefix);
  d.answer_all();
  EXPECT_EQ(d.record(id).trials_size(), 2);
  EXPECT_FALSE(d.change_study(id, v1::JobChanged::RESUME).ok());
  EXPECT_FALSE(d.change_study("s-9", v1::JobChanged::PAUSE).ok());
}

TEST(Studies, CancelCancelsTheTrials) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study();
  d.answer_all();
  ASSERT_TRUE(d.change_study(id, v1::JobChanged::CANCEL).ok());
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_CANCELLED);
  EXPECT_EQ(d.job_of(id, 1).state(), v1::CANCELLED);
  EXPECT_EQ(d.state.jobs.at(d.trial(id, 0).job()).stop(), v1::STOP_TO_CANCEL);
  EXPECT_EQ(d.trial(id, 0).state(), v1::TRIAL_FAILED);
  EXPECT_TRUE(unanswered(d.state).empty());
  EXPECT_FALSE(d.change_study(id, v1::JobChanged::PAUSE).ok());
}

TEST(Studies, TheRecommendedConfigurationIsTrainedOnceMore) {
  StudyDrive d;
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 2, .parallel = 1, .retrain = true});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.9);
  d.answer_all();
  d.succeeds(d.job_of(id, 1), 0.5);
  d.answer_all();
  ASSERT_EQ(d.shown(id).state(), v1::STUDY_RETRAINING);
  const v1::Job last = d.job(d.shown(id).retrain_job());
  EXPECT_EQ(last.state(), v1::ADMITTED);
  EXPECT_EQ(last.spec().name(), "s-best");
  EXPECT_EQ(last.study(), id);
  EXPECT_FALSE(last.has_trial());
  d.succeeds(last, 0.9);
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.record(id).trials_size(), 2);
}

// A study of one trial that has come to its retraining.
std::string retraining(StudyDrive& d) {
  d.worker("w1", 1);
  const std::string id = d.study({.trials = 1, .parallel = 1, .retrain = true});
  d.answer_all();
  d.succeeds(d.job_of(id, 0), 0.9);
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_RETRAINING);
  return id;
}

TEST(Studies, ARetrainingThatFailsByItselfSaysSo) {
  for (const v1::FailureClass failure : {v1::FAILURE_USER_ERROR, v1::FAILURE_NAN}) {
    StudyDrive d;
    const std::string id = retraining(d);
    const v1::Job last = d.job(d.shown(id).retrain_job());
    d.start_job(last);
    d.ends(last, 2, {.detail = "disk", .failure = failure});
    EXPECT_EQ(d.shown(id).state(), v1::STUDY_FAILED);
    EXPECT_THAT(d.shown(id).reason(), HasSubstr("disk"));
  }
}

TEST(Studies, ARetrainingThatMachinesTookIsTriedAgainAfterAPause) {
  StudyDrive d;
  const std::string id = retraining(d);
  const std::string first = d.shown(id).retrain_job();
  exhaust(d, first, {v1::FAILURE_INFRASTRUCTURE});
  EXPECT_EQ(d.job(first).state(), v1::FAILED);
  const v1::Study again = d.shown(id);
  EXPECT_EQ(again.state(), v1::STUDY_RETRAINING);
  EXPECT_THAT(again.reason(), HasSubstr("try 2 of 3 after " + first + " is FAILED"));
  const std::string second = again.retrain_job();
  ASSERT_NE(second, first);
  EXPECT_EQ(d.job(second).state(), v1::PENDING);
  EXPECT_EQ(d.job(second).study(), id);
  EXPECT_EQ(d.job(second).spec().train().epochs(), d.job(first).spec().train().epochs());
  d.now = next_deadline_us(d.state);
  d.tick();
  ASSERT_EQ(d.job(second).state(), v1::ADMITTED);
  d.succeeds(d.job(second), 0.9);
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.shown(id).retrain_job(), second);
}

TEST(Studies, ABrokenClusterDoesNotRetrainForEver) {
  StudyDrive d;
  const std::string id = retraining(d);
  std::set<std::string> jobs;
  while (d.shown(id).state() == v1::STUDY_RETRAINING && jobs.insert(d.shown(id).retrain_job()).second)
    exhaust(d, d.shown(id).retrain_job(), {v1::FAILURE_INFRASTRUCTURE});
  EXPECT_EQ(jobs.size(), 3u);
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_FAILED);
  EXPECT_THAT(d.shown(id).reason(), HasSubstr("was not retrained in 3 tries; the last: s-best-4 is FAILED: gave up"));
}

TEST(Studies, WhereNothingCanBeSuggestedTheStudyEndsWithWhatItHas) {
  StudyDrive d;
  d.worker("w1", 2);
  const std::string id = d.study({.trials = 9, .parallel = 2});
  d.answer(d.asked.at(0));
  const Tune second = d.asked.back();
  d.asked.clear();
  d.fail_to_suggest(second, "nothing is left");
  EXPECT_TRUE(d.asked.empty()) << "asked again before anything has changed";
  d.succeeds(d.job_of(id, 0), 0.5);
  ASSERT_FALSE(d.asked.empty());  // the trial that ran stood in the way, perhaps
  for (const Tune& question : std::exchange(d.asked, {})) {
    if (question.what == Tune::kSuggest) {
      d.fail_to_suggest(question, "nothing is left");
    } else {
      d.answer(question);
    }
  }
  d.answer_all();
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_SUCCEEDED);
  EXPECT_EQ(d.shown(id).reason(), "nothing is left");
}

TEST(Studies, WithoutAnyTrialItFailsWithTheReason) {
  StudyDrive d;
  const std::string id = d.study();
  d.fail_to_suggest(d.asked.at(0), "nothing fits");
  EXPECT_EQ(d.shown(id).state(), v1::STUDY_FAILED);
  EXPECT_THAT(d.shown(id).reason(), HasSubstr("nothing fits"));
}

TEST(Studies, AnOldLogIsReadAsItWas) {
  v1::StateSnapshot old;
  old.set_revision(7);
  old.set_submitted(3);
  const State state = from_snapshot(old);
  EXPECT_EQ(state.studies_submitted, 0);
  EXPECT_TRUE(state.studies.empty());
  EXPECT_EQ(next_study_id(state, "Fashion MNIST!"), "fashion-mnist-1");
}

}  // namespace
}  // namespace ds::coordinator

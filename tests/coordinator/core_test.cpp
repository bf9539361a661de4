// What the state machine does, event by event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/drive.h"

namespace ds::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Core, AJobRunsFromSubmitToSuccess) {
  Drive d;
  EXPECT_EQ(d.submit("fashion mnist!", 2), "fashion-mnist-1");
  const std::string id = "fashion-mnist-1";
  EXPECT_EQ(d.job(id).state(), v1::PENDING);
  EXPECT_THAT(d.job(id).reason(), HasSubstr("needs 2 slots, 0 of 0 free"));
  d.worker("w1", 2);
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_THAT(d.sent("w1"),
              ElementsAre("registered", "start fashion-mnist-1 g1 r0 cpu:0", "start fashion-mnist-1 g1 r1 cpu:1"));
  d.report("w1", id, 1, 0, v1::RANK_SPAWNED);
  EXPECT_EQ(d.job(id).state(), v1::STARTING);
  d.report("w1", id, 1, 0, v1::RANK_READY);
  EXPECT_THAT(d.sent("w1"), IsEmpty());
  d.report("w1", id, 1, 1, v1::RANK_READY);
  EXPECT_THAT(d.sent("w1"), ElementsAre("meet fashion-mnist-1 g1 r0 a0,a1", "meet fashion-mnist-1 g1 r1 a0,a1"));
  EXPECT_EQ(d.job(id).state(), v1::RUNNING);
  EXPECT_GT(d.job(id).started_at_us(), 0);
  d.exit("w1", id, 1, 0, 0);
  EXPECT_EQ(d.job(id).state(), v1::RUNNING);
  d.exit("w1", id, 1, 1, 0);
  EXPECT_EQ(d.job(id).state(), v1::SUCCEEDED);
  EXPECT_GT(d.job(id).finished_at_us(), 0);
  EXPECT_EQ(d.seen("w1").free_slots(), 2);
}

TEST(Core, TheSameClientKeyIsTheSameJob) {
  Drive d;
  v1::Event event;
  event.mutable_submitted()->mutable_spec()->set_name("a");
  event.mutable_submitted()->set_client_key("k");
  EXPECT_TRUE(d.apply(event).ok());
  EXPECT_TRUE(d.apply(event).ok());
  EXPECT_EQ(d.state.jobs.size(), 1u);
}

TEST(Core, ANewJobDoesNotPassOneThatWaits) {
  Drive d;
  const std::string runs = d.running("a", 1);
  d.worker("w2", 1);
  const std::string wide = d.submit("wide", 2), small = d.submit("small", 1);
  EXPECT_EQ(d.job(wide).state(), v1::PENDING);
  EXPECT_EQ(d.job(small).state(), v1::PENDING);
  EXPECT_THAT(d.job(small).reason(), HasSubstr("kept for wide-2"));
  d.exit("w1", runs, 1, 0, 0);
  EXPECT_EQ(d.job(wide).state(), v1::ADMITTED);
}

TEST(Core, AKilledRankRestartsTheWholeGangAtOnce) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.exit("w1", id, 1, 0, 137, {.retryable = true, .detail = "killed by signal 9"});
  EXPECT_EQ(d.job(id).state(), v1::RECOVERING);
  EXPECT_EQ(d.job(id).restarts(), 1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r1"));
  EXPECT_EQ(d.seen("w1").free_slots(), 1);  // rank 1 still has its slot
  d.exit("w1", id, 1, 1, 0, {.stopped = true});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).generation(), 2);
  EXPECT_THAT(d.job(id).reason(), HasSubstr("rank 0 on w1: killed by signal 9"));
  EXPECT_THAT(d.sent("w1"), ElementsAre("start a-1 g2 r0 cpu:0", "start a-1 g2 r1 cpu:1"));
}

TEST(Core, AnErrorOfTheUsersFailsTheJob) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.exit("w1", id, 1, 1, 2, {.detail = "[data] no file x"});
  EXPECT_EQ(d.job(id).state(), v1::RUNNING);
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r0"));
  d.exit("w1", id, 1, 0, 137, {.retryable = true});
  EXPECT_EQ(d.job(id).state(), v1::FAILED);
  EXPECT_EQ(d.job(id).reason(), "rank 1 on w1: [data] no file x");
  EXPECT_EQ(d.job(id).restarts(), 0);
}

TEST(Core, TheUsersErrorWinsOverTheFailureItCaused) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.exit("w1", id, 1, 0, 1, {.retryable = true, .detail = "a peer is gone"});
  d.exit("w1", id, 1, 1, 2, {.detail = "[matmul] inner dimensions differ"});
  EXPECT_EQ(d.job(id).state(), v1::FAILED);
  EXPECT_THAT(d.job(id).reason(), HasSubstr("[matmul]"));
  EXPECT_EQ(d.job(id).restarts(), 0);  // it was stopped to start again, and did not
}

TEST(Core, ALostWorkersJobMovesToOthers) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.worker("w2", 2);
  d.lost("w1");
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).ranks(0).worker(), "w2");
  EXPECT_THAT(d.sent("w2"), ElementsAre("registered", "start a-1 g2 r0 cpu:0", "start a-1 g2 r1 cpu:1"));
}

TEST(Core, ALostWorkerWithoutASpareLeavesTheJobWaitingWithBothReasons) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.lost("w1");
  EXPECT_EQ(d.job(id).state(), v1::RECOVERING);
  EXPECT_THAT(d.job(id).reason(), HasSubstr("worker w1 was lost"));
  EXPECT_THAT(d.job(id).reason(), HasSubstr("needs 2 slots, 0 of 0 free"));
  d.worker("w1", 2, "i2");
  EXPECT_EQ(d.job(id).generation(), 2);
}

TEST(Core, OlderGenerationsAreToldToStopAndHaveNoSay) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.worker("w2", 2);
  d.lost("w1");
  d.sent("w1");
  d.worker("w1", 2, "i1", {d.executor(id, 1, 0, v1::RANK_RUNNING)});
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "stop a-1 g1 r0"));
  d.report("w1", id, 1, 1, v1::RANK_RUNNING);
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r1"));
  d.exit("w1", id, 1, 0, 2, {.detail = "late"});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  d.report("w2", "unknown-7", 3, 0, v1::RANK_RUNNING);
  EXPECT_THAT(d.sent("w2"), testing::Contains("stop unknown-7 g3 r0"));
}

TEST(Core, ARankOnAnotherWorkerThanPlacedIsFenced) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.worker("w2", 1);
  d.sent("w2");
  d.report("w2", id, 1, 0, v1::RANK_RUNNING);
  EXPECT_THAT(d.sent("w2"), ElementsAre("stop a-1 g1 r0"));
  EXPECT_EQ(d.job(id).state(), v1::RUNNING);
}

TEST(Core, PauseWritesACheckpointAndResumeGoesOn) {
  Drive d;
  const std::string id = d.running("a", 2);
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop+checkpoint a-1 g1 r0", "stop+checkpoint a-1 g1 r1"));
  d.exit("w1", id, 1, 0, 0, {.stopped = true});
  d.exit("w1", id, 1, 1, 0, {.stopped = true});
  EXPECT_EQ(d.job(id).state(), v1::PAUSED);
  EXPECT_EQ(d.seen("w1").free_slots(), 2);
  ASSERT_TRUE(d.change(id, v1::JobChanged::RESUME).ok());
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).generation(), 2);
  EXPECT_EQ(d.job(id).restarts(), 0);
}

TEST(Core, APauseThatMeetsTheLastStepIsASuccess) {
  Drive d;
  const std::string id = d.running("a", 2);
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  d.exit("w1", id, 1, 0, 0);
  d.exit("w1", id, 1, 1, 0);
  EXPECT_EQ(d.job(id).state(), v1::SUCCEEDED);
}

TEST(Core, ARankLostWhilePausingEndsInAPauseNotARestart) {
  Drive d;
  const std::string id = d.running("a", 2);
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  d.sent("w1");
  d.exit("w1", id, 1, 0, 137, {.retryable = true});
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r1"));  // its peer is gone: no checkpoint can be had
  d.exit("w1", id, 1, 1, 137, {.retryable = true});
  EXPECT_EQ(d.job(id).state(), v1::PAUSED);
}

TEST(Core, AStopThatHangsOnItsCheckpointIsForced) {
  Drive d;
  const std::string id = d.running("a", 1);
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  d.sent("w1");
  ASSERT_GT(next_deadline_us(d.state), d.now);
  d.now = next_deadline_us(d.state);
  d.tick();
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r0"));
  EXPECT_EQ(next_deadline_us(d.state), 0);
}

TEST(Core, ResumeWhilePausingPlacesAgain) {
  Drive d;
  const std::string id = d.running("a", 1);
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  ASSERT_TRUE(d.change(id, v1::JobChanged::RESUME).ok());
  d.exit("w1", id, 1, 0, 0, {.stopped = true});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
}

TEST(Core, CancelStopsAtOnceAndIsFinal) {
  Drive d;
  const std::string id = d.running("a", 1);
  ASSERT_TRUE(d.change(id, v1::JobChanged::CANCEL).ok());
  EXPECT_THAT(d.sent("w1"), ElementsAre("stop a-1 g1 r0"));
  EXPECT_FALSE(d.change(id, v1::JobChanged::PAUSE).ok());
  d.exit("w1", id, 1, 0, 137, {.retryable = true});
  EXPECT_EQ(d.job(id).state(), v1::CANCELLED);
  EXPECT_TRUE(d.change(id, v1::JobChanged::CANCEL).ok());
  auto refused = d.change(id, v1::JobChanged::RESUME);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("CANCELLED"));
  EXPECT_EQ(d.change("nope", v1::JobChanged::CANCEL).code(), absl::StatusCode::kNotFound);
}

TEST(Core, CancelOfAWaitingJobIsImmediate) {
  Drive d;
  const std::string id = d.submit("a", 1);
  ASSERT_TRUE(d.change(id, v1::JobChanged::CANCEL).ok());
  EXPECT_EQ(d.job(id).state(), v1::CANCELLED);
  d.worker("w1", 1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered"));
}

TEST(Core, ADrainedWorkersJobsMoveWithACheckpoint) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.worker("w2", 2);
  d.sent("w2");
  d.drain("w1");
  EXPECT_THAT(d.sent("w1"), ElementsAre("drain", "stop+checkpoint a-1 g1 r0", "stop+checkpoint a-1 g1 r1"));
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_DRAINING);
  d.exit("w1", id, 1, 0, 0, {.stopped = true});
  d.exit("w1", id, 1, 1, 0, {.stopped = true});
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_DRAINED);
  EXPECT_THAT(d.sent("w2"), ElementsAre("start a-1 g2 r0 cpu:0", "start a-1 g2 r1 cpu:1"));
  EXPECT_EQ(d.job(id).restarts(), 0);
  d.worker("w1", 2, "i1");  // the same daemon on a new stream is still drained
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_DRAINED);
  d.worker("w1", 2, "i2");  // a new one is not
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_READY);
}

// The job of `running`, on one new worker after the other; each is lost once the job has come to a step.
void lose_workers(Drive& d, const std::string& id, const std::vector<int64_t>& steps) {
  for (int64_t step : steps) {
    const std::string on = d.job(id).ranks(0).worker(), next = absl::StrCat(on, "'");
    const int64_t generation = d.job(id).generation();
    d.report(on, id, generation, 0, v1::RANK_READY);
    d.report(on, id, generation, 0, v1::RANK_RUNNING);
    if (step > 0) d.progress(id, generation, step);
    d.worker(next, 1);
    d.lost(on);
  }
}

TEST(Core, AJobThatTakesDownItsWorkersIsGivenUp) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.progress(id, 1, 7);
  lose_workers(d, id, {0, 5, 7});  // as far as before, and no further
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  lose_workers(d, id, {0});
  EXPECT_EQ(d.job(id).state(), v1::FAILED);
  EXPECT_EQ(d.job(id).reason(),
            "gave up after 4 losses of a worker that ran it, with no step after 7 completed in between; last: worker "
            "w1''' was lost: silent");
  EXPECT_EQ(d.seen("w1''''").free_slots(), 1) << "the next one is spared";
}

TEST(Core, LossesOfWorkersWithStepsInBetweenAreNotCounted) {
  Drive d;
  const std::string id = d.running("a", 1);
  lose_workers(d, id, {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 9, 0, 0, 10});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).restarts(), 14);
}

TEST(Core, ALostWorkerIsForgottenAfterAWhile) {
  Drive d;
  d.worker("w1", 1);
  d.worker("w2", 1);
  d.lost("w1");
  EXPECT_EQ(d.seen("w1").lost_since_us(), d.now);
  EXPECT_EQ(next_deadline_us(d.state), d.now + 600'000'000);
  d.now += 599'000'000;
  d.tick();
  EXPECT_EQ(d.state.workers.count("w1"), 1u);
  d.now += 1'000'000;
  d.tick();
  EXPECT_EQ(d.state.workers.count("w1"), 0u);
  EXPECT_EQ(d.state.workers.count("w2"), 1u);
  EXPECT_EQ(next_deadline_us(d.state), 0);
}

TEST(Core, AWorkerThatCameBackIsNotForgotten) {
  Drive d;
  d.worker("w1", 1);
  d.lost("w1");
  d.worker("w1", 1, "i2");
  EXPECT_EQ(d.seen("w1").lost_since_us(), 0);
  d.now += 700'000'000;
  d.tick();
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_READY);
}

TEST(Core, OnlyAWorkerThatIsGoneCanBeRemoved) {
  Drive d;
  d.worker("w1", 1);
  EXPECT_THAT(std::string(d.remove("w1").message()), HasSubstr("cannot remove w1: it is WORKER_READY"));
  d.drain("w1");
  EXPECT_THAT(std::string(d.remove("w1").message()), HasSubstr("its daemon is connected"));
  d.lost("w1");  // it went, as a drained worker may
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_DRAINED);
  EXPECT_TRUE(d.remove("w1").ok());
  EXPECT_EQ(d.state.workers.count("w1"), 0u);
  EXPECT_TRUE(absl::IsNotFound(d.remove("w1")));
}

TEST(Core, AnUndrainedWorkerTakesRanksAgain) {
  Drive d;
  d.worker("w1", 1);
  d.drain("w1");
  const std::string id = d.submit("a", 1);
  EXPECT_EQ(d.job(id).state(), v1::PENDING);
  d.sent("w1");
  ASSERT_TRUE(d.undrain("w1").ok());
  EXPECT_THAT(d.sent("w1"), ElementsAre("undrain", "start a-1 g1 r0 cpu:0"));
  d.drained("w1");  // said before it heard of that
  EXPECT_EQ(d.seen("w1").state(), v1::WORKER_READY);
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_TRUE(d.undrain("w1").ok()) << "once more does no harm";
}

TEST(Core, AWorkerThatEndsIsNotUndrained) {
  Drive d;
  d.worker("w1", 1);
  v1::Event event;
  event.mutable_draining()->set_worker("w1");
  event.mutable_draining()->set_leaving(true);
  ASSERT_TRUE(d.apply(event).ok());
  EXPECT_EQ(d.undrain("w1").message(), "cannot undrain w1: its daemon is ending");
  d.lost("w1");
  EXPECT_EQ(d.undrain("w1").message(), "cannot undrain w1: its daemon has ended");
  EXPECT_TRUE(absl::IsNotFound(d.undrain("w9")));
}

TEST(Core, AWarningOfARankIsKeptWithTheJob) {
  Drive d;
  const std::string id = d.running("a", 1);
  v1::Event event;
  v1::JobProgress* p = event.mutable_progressed()->add_jobs();
  p->set_job(id);
  p->set_generation(1);
  p->set_warning("the checkpoint of step 9 is gone");
  ASSERT_TRUE(d.apply(event).ok());
  d.progress(id, 1, 3);
  EXPECT_EQ(d.job(id).warning(), "the checkpoint of step 9 is gone");
}

TEST(Core, AReasonEndsWhenTheJobIsPastWhatItTellsOf) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.progress(id, 1, 10);
  d.worker("w2", 2);
  d.lost("w1");
  for (int r = 0; r < 2; ++r) d.report("w2", id, 2, r, v1::RANK_READY);
  for (int r = 0; r < 2; ++r) d.report("w2", id, 2, r, v1::RANK_RUNNING);
  d.progress(id, 2, 5);
  EXPECT_THAT(d.job(id).reason(), testing::HasSubstr("w1")) << "not yet as far as before the loss";
  d.progress(id, 2, 11);
  EXPECT_EQ(d.job(id).reason(), "");
  d.drain("w2");
  for (int r = 0; r < 2; ++r) d.exit("w2", id, 2, r, 0, {.stopped = true});
  EXPECT_THAT(d.job(id).reason(), testing::HasSubstr("w2"));
  EXPECT_THAT(d.job(id).reason(), testing::Not(testing::HasSubstr("w1")));
}

TEST(Core, AReturningWorkersExecutorsAreAdopted) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.worker("w1", 2, "i1", {d.executor(id, 1, 0, v1::RANK_RUNNING), d.executor(id, 1, 1, v1::RANK_RUNNING)});
  EXPECT_EQ(d.job(id).state(), v1::RUNNING);
  EXPECT_EQ(d.job(id).generation(), 1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered"));
}

TEST(Core, AnExecutorThatDidNotComeBackWithItsWorkerIsLost) {
  Drive d;
  const std::string id = d.running("a", 2);
  d.worker("w1", 2, "i2", {d.executor(id, 1, 0, v1::RANK_RUNNING)});
  EXPECT_EQ(d.job(id).state(), v1::RECOVERING);
  EXPECT_THAT(d.sent("w1"), testing::Contains("stop a-1 g1 r0"));
}

TEST(Core, WhatABrokenStreamLostIsSentAgain) {
  Drive d;
  d.worker("w1", 2);
  const std::string id = d.submit("a", 2);
  d.sent("w1");
  d.worker("w1", 2, "i1", {d.executor(id, 1, 0, v1::RANK_READY)});  // the start of rank 1 was lost
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "start a-1 g1 r1 cpu:1"));
  d.report("w1", id, 1, 1, v1::RANK_READY);
  d.sent("w1");
  d.worker("w1", 2, "i1", {d.executor(id, 1, 0, v1::RANK_READY), d.executor(id, 1, 1, v1::RANK_RUNNING)});
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "meet a-1 g1 r0 a0,a1"));  // the meeting of rank 0 was
  ASSERT_TRUE(d.change(id, v1::JobChanged::CANCEL).ok());
  d.sent("w1");
  d.worker("w1", 2, "i1", {d.executor(id, 1, 0, v1::RANK_RUNNING), d.executor(id, 1, 1, v1::RANK_RUNNING)});
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "stop a-1 g1 r0", "stop a-1 g1 r1"));
}

TEST(Core, AnExitThatTheStreamLostIsTakenFromTheRegistration) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.worker("w1", 1, "i1", {d.executor(id, 1, 0, v1::RANK_EXITED)});
  EXPECT_EQ(d.job(id).state(), v1::SUCCEEDED);
}

TEST(Core, ARankThatEndsBeforeItMetItsPeersHasNotSucceeded) {
  Drive d;
  d.worker("w1", 2);
  const std::string id = d.submit("a", 2);
  d.report("w1", id, 1, 0, v1::RANK_READY);
  d.exit("w1", id, 1, 1, 0);
  EXPECT_EQ(d.job(id).state(), v1::RECOVERING);  // else rank 0 would wait for ever
}

TEST(Core, RestartsThatGetNoFurtherBackOffAndThenFail) {
  Drive d;
  const std::string id = d.running("a", 1);
  for (int restart = 1; restart <= 5; ++restart) {
    d.exit("w1", id, restart, 0, 139, {.retryable = true, .detail = "killed by signal 11"});
    ASSERT_EQ(d.job(id).restarts(), restart);
    if (restart == 1) {
      ASSERT_EQ(d.job(id).state(), v1::ADMITTED) << "the first restart is immediate";
    } else {
      ASSERT_EQ(d.job(id).state(), v1::RECOVERING);
      d.now = next_deadline_us(d.state);
      d.tick();
    }
    ASSERT_EQ(d.job(id).generation(), restart + 1);
    d.report("w1", id, restart + 1, 0, v1::RANK_READY);
  }
  d.exit("w1", id, 6, 0, 139, {.retryable = true, .detail = "killed by signal 11"});
  EXPECT_EQ(d.job(id).state(), v1::FAILED);
  EXPECT_THAT(d.job(id).reason(), HasSubstr("gave up after 5 restarts"));
  EXPECT_THAT(d.job(id).reason(), HasSubstr("killed by signal 11"));
}

TEST(Core, StepsForgiveFailures) {
  Drive d;
  const std::string id = d.running("a", 1);
  for (int restart = 1; restart <= 20; ++restart) {
    d.progress(id, restart, restart * 10);
    d.exit("w1", id, restart, 0, 137, {.retryable = true});
    ASSERT_EQ(d.job(id).state(), v1::ADMITTED);
    d.report("w1", id, restart + 1, 0, v1::RANK_READY);
  }
  EXPECT_EQ(d.job(id).restarts(), 20);
}

TEST(Core, LostWorkersThatHadNotBegunDoNotUseUpTheBudget) {
  Drive d;
  const std::string id = d.running("a", 1);
  for (int i = 0; i < 20; ++i) {
    d.lost("w1");
    d.worker("w1", 1, "j" + std::to_string(i));
    ASSERT_EQ(d.job(id).state(), v1::ADMITTED);
  }
}

TEST(Core, ProgressOfAnOlderGenerationIsIgnored) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.progress(id, 1, 50);
  d.progress(id, 0, 70);
  EXPECT_EQ(d.job(id).progress().step(), 50);
}

TEST(Core, RecoveryIsMeasuredToTheNextCompletedStep) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.progress(id, 1, 50);
  d.exit("w1", id, 1, 0, 137, {.retryable = true});
  d.report("w1", id, 2, 0, v1::RANK_READY);
  d.now += 2 * 1'000'000;
  d.measures.clear();
  d.progress(id, 2, 41);
  ASSERT_EQ(d.measures.size(), 1u);
  EXPECT_EQ(d.measures[0].what, Measure::kRecovery);
  EXPECT_NEAR(d.measures[0].seconds, 2.0, 0.1);
}

TEST(Core, AJobThatFailedKeepsItsTurn) {
  Drive d;
  const std::string id = d.running("a", 1);
  d.submit("b", 1, 9);
  d.exit("w1", id, 1, 0, 137, {.retryable = true});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
}

TEST(Core, RevisionsGrowWithEveryChangeOfAJob) {
  Drive d;
  const std::string id = d.running("a", 1);
  const int64_t before = d.job(id).revision();
  d.progress(id, 1, 1);
  EXPECT_GT(d.job(id).revision(), before);
  EXPECT_EQ(d.job(id).revision(), d.state.revision);
}

}  // namespace
}  // namespace ds::coordinator

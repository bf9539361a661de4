// Jobs with data_parallel: auto, event by event: profiled, planned, and profiled elsewhere when a worker dies of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/drive.h"

namespace ds::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct AutoDrive : Drive {
  std::string submit_auto(const std::string& name, int64_t batch = 128) {
    const std::string id = next_id(state, name);
    v1::Event event;
    v1::JobSpec* spec = event.mutable_submitted()->mutable_spec();
    spec->set_name(name);
    spec->mutable_train()->set_batch_size(batch);
    spec->mutable_strategy()->set_data_parallel(-1);
    (void)apply(event);
    return id;
  }
  // Every slot alike: 1 GFLOP/s, reductions for next to nothing.
  void measured(const std::string& name, int slots, const std::string& incarnation = "i1") {
    v1::Event event;
    v1::Register* hello = event.mutable_registered()->mutable_register_();
    hello->set_worker(name);
    hello->set_incarnation(incarnation);
    hello->set_slots(slots);
    (*hello->mutable_labels())["host"] = "h";
    v1::Constants* c = hello->mutable_constants();
    c->mutable_busy()->set_matmul_flops(1e9);
    *c->mutable_alone() = c->busy();
    c->set_ranks(2);
    c->set_all_reduce_bytes(1e12);
    (void)apply(event);
  }
  void profiled(const std::string& worker, const std::string& id, const std::string& error = "",
                bool retryable = false) {
    v1::Event event;
    event.mutable_profiled()->set_worker(worker);
    v1::ProfileResult* result = event.mutable_profiled()->mutable_result();
    result->set_job(id);
    result->set_error(error);
    result->set_retryable(retryable);
    if (error.empty()) result->mutable_profile()->mutable_sample()->set_matmul_flops(1e6);
    (void)apply(event);
  }
  std::string bytes() const { return to_snapshot(state).SerializeAsString(); }
};

TEST(Automatic, AJobIsProfiledPlannedAndStarted) {
  AutoDrive d;
  d.measured("w1", 2);
  const std::string id = d.submit_auto("a");
  EXPECT_EQ(d.job(id).reason(), "its model is profiled on w1, for data_parallel: auto");
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "profile a-1"));
  d.profiled("w1", id);
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).plan().data_parallel(), 2);
  EXPECT_NEAR(d.job(id).plan().step_seconds(), 0.064, 1e-6);
  ASSERT_EQ(d.job(id).plan().alternatives_size(), 1);
  EXPECT_EQ(d.job(id).plan().alternatives(0).data_parallel(), 1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("start a-1 g1 r0 cpu:0", "start a-1 g1 r1 cpu:1"));
}

TEST(Automatic, WithoutAWorkerItSaysWhatItWaitsFor) {
  AutoDrive d;
  const std::string id = d.submit_auto("a");
  EXPECT_THAT(d.job(id).reason(), HasSubstr("no worker is ready to profile"));
  d.measured("w1", 1);
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "profile a-1"));
}

TEST(Automatic, AWorkerThatIsLostIsAskedNoMoreAndAnotherIs) {
  AutoDrive d;
  d.measured("w1", 2);
  d.measured("w2", 2);
  const std::string id = d.submit_auto("a");
  d.sent("w1");
  d.sent("w2");
  d.lost("w1");
  EXPECT_THAT(d.sent("w2"), ElementsAre("profile a-1"));
  d.profiled("w1", id);  // of one that is not asked any more
  EXPECT_EQ(d.job(id).state(), v1::PENDING);
  d.profiled("w2", id);
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
}

TEST(Automatic, AStreamThatBrokeIsAskedAgain) {
  AutoDrive d;
  d.measured("w1", 2);
  const std::string id = d.submit_auto("a");
  d.sent("w1");
  d.measured("w1", 2);  // the same daemon
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered", "profile a-1"));
  EXPECT_EQ(d.state.jobs.at(id).profile_failures(), 0);
}

TEST(Automatic, AModelThatCannotBeProfiledFails) {
  AutoDrive d;
  d.measured("w1", 2);
  const std::string wrong = d.submit_auto("wrong");
  d.profiled("w1", wrong, "[mlp] no");
  EXPECT_EQ(d.job(wrong).state(), v1::FAILED);
  EXPECT_EQ(d.job(wrong).reason(), "[mlp] no");
  const std::string deadly = d.submit_auto("deadly");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(d.job(deadly).state(), v1::PENDING);
    d.profiled("w1", deadly, "killed", true);
  }
  EXPECT_EQ(d.job(deadly).state(), v1::FAILED);
  EXPECT_EQ(d.job(deadly).reason(), "its model could not be profiled in 4 tries; last: killed");
}

TEST(Automatic, ItGoesOnInFewerRanksWhereFewerSlotsAreLeft) {
  AutoDrive d;
  d.measured("w1", 1);
  d.measured("w2", 1);
  const std::string id = d.submit_auto("a");
  d.profiled("w1", id);
  ASSERT_EQ(d.job(id).plan().data_parallel(), 2);
  d.lost("w2");
  d.exit("w1", id, 1, 0, 1, {.stopped = true});
  EXPECT_EQ(d.job(id).state(), v1::ADMITTED);
  EXPECT_EQ(d.job(id).generation(), 2);
  EXPECT_EQ(d.job(id).ranks_size(), 1);
  EXPECT_EQ(d.job(id).plan().data_parallel(), 1);
}

TEST(Automatic, PausedItIsNotProfiledAndResumedItIs) {
  AutoDrive d;
  const std::string id = d.submit_auto("a");
  ASSERT_TRUE(d.change(id, v1::JobChanged::PAUSE).ok());
  d.measured("w1", 2);
  EXPECT_THAT(d.sent("w1"), ElementsAre("registered"));
  ASSERT_TRUE(d.change(id, v1::JobChanged::RESUME).ok());
  EXPECT_THAT(d.sent("w1"), ElementsAre("profile a-1"));
}

TEST(Automatic, ReplayingTheLogRebuildsTheState) {
  AutoDrive d;
  d.measured("w1", 2);
  d.measured("w2", 2);
  const std::string id = d.submit_auto("a"), other = d.submit_auto("b", 9);
  d.lost("w1");
  d.profiled("w2", id);
  d.profiled("w2", other, "killed", true);
  d.profiled("w2", other);
  State again;
  for (const v1::Event& event : d.log) (void)coordinator::apply(again, event);
  EXPECT_EQ(to_snapshot(again).SerializeAsString(), d.bytes());
  EXPECT_EQ(to_snapshot(from_snapshot(to_snapshot(d.state))).SerializeAsString(), d.bytes());
}

}  // namespace
}  // namespace ds::coordinator

// What the scheduler answers, case by case.
#include "scheduler/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace ds::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WorkerView worker(const std::string& name, int slots, int free, const std::string& host = "") {
  WorkerView w{name, true, slots, std::vector<int>(free), {}};
  std::iota(w.free.begin(), w.free.end(), slots - free);
  if (!host.empty()) w.labels["host"] = host;
  return w;
}

QueuedJob job(const std::string& id, int64_t order, int ranks, int priority = 0) {
  return {id, {false, priority, order}, ranks};
}

template <class T>
T answer(const std::vector<Decision>& decisions, const std::string& id) {
  for (const Decision& d : decisions) {
    if (d.job == id) return std::get<T>(d.answer);
  }
  throw std::runtime_error("no decision for " + id);
}

TEST(Schedule, PlacesOneRankASlot) {
  auto placed = answer<Placed>(schedule({{worker("w1", 2, 2)}, {}, {}}, {job("a", 1, 2)}), "a");
  EXPECT_THAT(placed.ranks, ElementsAre(RankPlace{"w1", 0}, RankPlace{"w1", 1}));
}

TEST(Schedule, TakesTheTightestWorker) {
  auto placed = answer<Placed>(schedule({{worker("w1", 4, 4), worker("w2", 4, 2)}, {}, {}}, {job("a", 1, 2)}), "a");
  EXPECT_THAT(placed.ranks, ElementsAre(RankPlace{"w2", 2}, RankPlace{"w2", 3}));
}

TEST(Schedule, PrefersOneHostToFewerWorkersOnTwo) {
  Cluster cluster{
      {worker("w1", 2, 2, "x"), worker("w2", 2, 1, "y"), worker("w3", 2, 1, "y"), worker("w4", 2, 1, "y")}, {}, {}};
  auto placed = answer<Placed>(schedule(cluster, {job("a", 1, 3)}), "a");
  EXPECT_THAT(placed.ranks, ElementsAre(RankPlace{"w2", 1}, RankPlace{"w3", 1}, RankPlace{"w4", 1}));
}

TEST(Schedule, WaitSaysWhatIsMissing) {
  auto wait = answer<Wait>(schedule({{worker("w1", 1, 1), worker("w2", 1, 0)}, {}, {}}, {job("a", 1, 4)}), "a");
  EXPECT_EQ(wait.reason, "needs 4 slots, 1 of 2 free on 2 workers; waits for workers to join");
}

TEST(Schedule, NoWorkersIsAWait) {
  EXPECT_EQ(answer<Wait>(schedule({}, {job("a", 1, 1)}), "a").reason,
            "needs 1 slot, 0 of 0 free on 0 workers; waits for workers to join");
}

TEST(Schedule, InfeasibleOnlyWhenNothingCanHelp) {
  Cluster closed{{worker("w1", 2, 2)}, {}, 2};
  EXPECT_EQ(answer<Infeasible>(schedule(closed, {job("a", 1, 3)}), "a").reason,
            "needs 3 slots, this cluster can never have more than 2");
  EXPECT_THAT(answer<Infeasible>(schedule(closed, {job("a", 1, 0)}), "a").reason, HasSubstr("asks for 0 ranks"));
}

TEST(Schedule, PriorityThenSubmission) {
  Cluster cluster{{worker("w1", 2, 2)}, {}, {}};
  auto decisions = schedule(cluster, {job("late", 3, 1), job("high", 2, 1, 5), job("early", 1, 1)});
  EXPECT_EQ(decisions[0].job, "high");
  answer<Placed>(decisions, "high");
  answer<Placed>(decisions, "early");
  answer<Wait>(decisions, "late");
}

TEST(Schedule, AResumedJobComesFirst) {
  QueuedJob resumed{"resumed", {true, 0, 9}, 2};
  auto decisions = schedule({{worker("w1", 2, 2)}, {}, {}}, {job("high", 1, 2, 5), resumed});
  answer<Placed>(decisions, "resumed");
  answer<Wait>(decisions, "high");
}

TEST(Schedule, TheClaimOfAWaitingJobIsKept) {
  Cluster cluster{{worker("w1", 4, 2)}, {{{false, 0, 1}, 2}}, {}};
  auto decisions = schedule(cluster, {job("wide", 2, 4), job("small", 3, 1)});
  EXPECT_THAT(answer<Wait>(decisions, "small").reason, HasSubstr("kept for wide"));
}

TEST(Schedule, SlotsTheWaitingJobCannotUseAreLent) {
  Cluster cluster{{worker("w1", 4, 2)}, {{{false, 0, 1}, 2}}, {}};
  auto decisions = schedule(cluster, {job("wide", 2, 3), job("small", 3, 1), job("smaller", 4, 1)});
  answer<Wait>(decisions, "wide");
  answer<Placed>(decisions, "small");
  answer<Wait>(decisions, "smaller");  // wide could not start when the running job ends
}

TEST(Schedule, AJobAboveTheClusterKeepsNoClaim) {
  auto decisions = schedule({{worker("w1", 2, 2)}, {}, {}}, {job("huge", 1, 8), job("small", 2, 1)});
  answer<Wait>(decisions, "huge");
  answer<Placed>(decisions, "small");
}

TEST(Schedule, OnlyReadyWorkersAreUsed) {
  Cluster cluster{{worker("w1", 2, 2)}, {}, {}};
  cluster.workers[0].ready = false;
  EXPECT_THAT(answer<Wait>(schedule(cluster, {job("a", 1, 1)}), "a").reason, HasSubstr("0 of 0 free on 0 workers"));
}

}  // namespace
}  // namespace ds::scheduler

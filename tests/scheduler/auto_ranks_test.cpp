// data_parallel: auto: what holds for every profile, every machine and every cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "scheduler/auto_ranks.h"

namespace ds::scheduler {
namespace {

using plan::DataParallelJob;
using plan::SlotConstants;
using testing::HasSubstr;

double draw(std::mt19937& random, double low, double high) {
  return std::exp(std::uniform_real_distribution<double>(std::log(low), std::log(high))(random));
}

// 1 GFLOP/s slots, 1 GB/s memory.
SlotConstants machine(double all_reduce_bytes = 1e9, int ranks = 4) {
  const plan::SlotRates rates{1e9, 1e9, 1e9, 1e-6};
  return {rates, rates, ranks, 1e-5, all_reduce_bytes};
}

// 128 ms of products on one slot, and `gradients` bytes to sum.
DataParallelJob job(double gradients = 1e3, int64_t batch = 128) {
  DataParallelJob j;
  j.profile.sample.matmul_flops = 1e6;
  j.profile.gradient_bytes = gradients;
  j.batch = batch;
  j.ranks = plan::rank_counts(batch, false, 0);
  return j;
}

WorkerView worker(const std::string& name, int slots, int free, const SlotConstants& constants = machine()) {
  WorkerView w{name, true, slots, {}, {{"host", "h"}}, constants};
  for (int s = slots - free; s < slots; ++s) w.free.push_back(s);
  return w;
}

Answer answer(const Cluster& cluster, const DataParallelJob& j) {
  return schedule(cluster, {{"a", {false, 0, 1}, 0, j}}).front().answer;
}

TEST(AutoRanks, TakesTheSlotsThatMakeItFaster) {
  const Answer a = answer({{worker("w", 4, 4)}, {}, {}}, job());
  const auto& placed = std::get<Placed>(a);
  EXPECT_EQ(placed.ranks.size(), 4u);
  EXPECT_EQ(placed.plan->ranks, 4);
  EXPECT_NEAR(placed.plan->parts.total(), 0.032, 1e-3);
  EXPECT_THAT(placed.plan->why, HasSubstr("efficiency 100 %"));
  EXPECT_EQ(placed.plan->alternatives.size(), 2u);  // 1 and 2
}

TEST(AutoRanks, LeavesSlotsThatGainNothing) {
  const Answer a = answer({{worker("w", 4, 4, machine(1e6))}, {}, {}}, job(1e6));
  const auto& placed = std::get<Placed>(a);
  EXPECT_EQ(placed.ranks.size(), 1u);
  EXPECT_THAT(placed.plan->alternatives.back().why, HasSubstr("of what a lone one does"));
}

TEST(AutoRanks, GoesSmallerWhereHalfTheSpeedIsFree) {
  const Answer a = answer({{worker("w", 4, 2)}, {{{false, 0, 0}, 2}}, {}}, job());
  EXPECT_EQ(std::get<Placed>(a).ranks.size(), 2u);
  EXPECT_THAT(std::get<Placed>(a).plan->why, HasSubstr("4 ranks would take"));
}

TEST(AutoRanks, WaitsWhereLessIsFree) {
  const Answer a = answer({{worker("w", 4, 1)}, {{{false, 0, 0}, 3}}, {}}, job());
  EXPECT_THAT(std::get<Wait>(a).reason, HasSubstr("needs 4 slots, 1 of 4 free"));
  EXPECT_THAT(std::get<Wait>(a).reason, HasSubstr("1 rank would take"));
}

TEST(AutoRanks, TheBatchIsDividedEvenly) {
  const Answer a = answer({{worker("w", 4, 4)}, {}, {}}, job(1e3, 9));
  EXPECT_EQ(std::get<Placed>(a).ranks.size(), 3u);
  EXPECT_EQ(plan::rank_counts(12, true, 4), (std::vector<int>{1, 2, 4}));
}

TEST(AutoRanks, SlotsThatWereNotMeasuredAreNotUsed) {
  WorkerView other = worker("other", 8, 8);
  other.constants.reset();
  EXPECT_THAT(std::get<Wait>(answer({{other}, {}, {}}, job())).reason, HasSubstr("has measured"));
  const Answer a = answer({{other, worker("w", 2, 2)}, {}, {}}, job());
  for (const RankPlace& p : std::get<Placed>(a).ranks) EXPECT_EQ(p.worker, "w");
}

TEST(AutoRanks, TheNetworkBetweenHostsIsSaidToBeAssumed) {
  WorkerView far = worker("far", 2, 2);
  far.labels["host"] = "elsewhere";
  const Answer a = answer({{worker("w", 2, 2), far}, {}, {}}, job());
  EXPECT_EQ(std::get<Placed>(a).ranks.size(), 4u);
  EXPECT_THAT(std::get<Placed>(a).plan->why, HasSubstr("assumed, not measured"));
}

struct Drawn {
  DataParallelJob job;
  std::vector<WorkerView> workers;
  int total = 0;
};
Drawn drawn(uint32_t seed) {
  std::mt19937 random(seed);
  Drawn d;
  d.job = job(draw(random, 1e3, 1e9), static_cast<int64_t>(draw(random, 1, 512)));
  d.job.profile.sample = {draw(random, 1e3, 1e9), draw(random, 1e3, 1e9), draw(random, 1e3, 1e8), 0};
  d.job.profile.step.kernels = draw(random, 1, 1e4);
  d.job.profile.update = {0, 0, draw(random, 1e3, 1e9), draw(random, 1, 100)};
  for (int i = 0; i < 1 + static_cast<int>(seed % 4); ++i) {
    const int slots = static_cast<int>(draw(random, 1, 9));
    const plan::SlotRates alone{draw(random, 1e8, 1e12), draw(random, 1e8, 1e12), draw(random, 1e8, 1e11), 1e-6};
    const plan::SlotRates busy{alone.matmul_flops / 2, alone.conv_flops / 2, alone.memory_bytes / 3, 2e-6};
    d.workers.push_back(worker("w" + std::to_string(i), slots, slots,
                               {alone, busy, slots, draw(random, 1e-6, 1e-3), draw(random, 1e7, 1e11)}));
    if (random() % 2) d.workers.back().labels["host"] = "h" + std::to_string(random() % 3);
    d.total += slots;
  }
  return d;
}

TEST(AutoRanksProperty, TheChoiceDividesTheBatchFitsAndEarnsItsSlots) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Drawn d = drawn(seed);
    const plan::DataParallelPlan p = plan_ranks(d.job, d.workers, d.total);
    ASSERT_GE(p.ranks, 1);
    EXPECT_LE(p.ranks, d.total);
    EXPECT_EQ(d.job.batch % p.ranks, 0);
    EXPECT_GE(p.one_rank_seconds / (p.ranks * p.parts.total()), plan::kLeastEfficiency - 1e-9);
    EXPECT_LE(p.parts.total(), p.one_rank_seconds * (1 + 1e-9));
    for (const plan::RankAlternative& a : p.alternatives) {
      EXPECT_FALSE(a.why.empty());
      const bool earns = p.one_rank_seconds / (a.ranks * a.step_seconds) >= plan::kLeastEfficiency;
      EXPECT_TRUE(!earns || plan::kWorthIt * a.step_seconds >= p.parts.total() * (1 - 1e-9));
    }
  }
}

TEST(AutoRanksProperty, FasterCollectivesNeverMakeTheChosenStepSlower) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    Drawn d = drawn(seed);
    for (WorkerView& w : d.workers) w.labels["host"] = "h";
    const plan::DataParallelPlan before = plan_ranks(d.job, d.workers, d.total);
    for (WorkerView& w : d.workers) w.constants->all_reduce_bytes *= 10;
    const plan::DataParallelPlan after = plan_ranks(d.job, d.workers, d.total);
    EXPECT_LE(after.parts.total(), plan::kWorthIt * before.parts.total() * (1 + 1e-9));
  }
}

TEST(AutoRanksProperty, EqualWorkersMayChangePlaces) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Drawn d = drawn(seed);
    const plan::DataParallelPlan before = plan_ranks(d.job, d.workers, d.total);
    std::reverse(d.workers.begin(), d.workers.end());
    const plan::DataParallelPlan after = plan_ranks(d.job, d.workers, d.total);
    EXPECT_EQ(before.ranks, after.ranks);
    EXPECT_DOUBLE_EQ(before.parts.total(), after.parts.total());
  }
}

}  // namespace
}  // namespace ds::scheduler

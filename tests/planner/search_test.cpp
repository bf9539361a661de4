// The search: its answer is the exhaustive one, and what must hold whatever the numbers.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/planner/models.h"

namespace ds::plan {
namespace {

Cluster slow_network(int devices) {
  Cluster c = of("eos", devices);
  c.groups[0].nic_bandwidth /= 16;
  c.network.oversubscription = 2;
  return c;
}

Cluster mixed(int devices) {
  Cluster c = of("eos", devices / 2);
  const Cluster old = of("selene", devices / 2);
  c.groups.push_back(old.groups[0]);
  return c;
}

struct Scenario {
  std::string name;
  Cluster cluster;
  Transformer model;
};

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  for (const char* name : {"selene", "eos", "a100-800"}) {
    all.push_back({std::string("22b ") + name, of(name, 64), gpt_22b(256)});
    all.push_back({std::string("175b ") + name, of(name, 256), gpt_175b(768)});
    all.push_back({std::string("175b large ") + name, of(name, 1024), gpt_175b(1536)});
    all.push_back({std::string("530b ") + name, of(name, 1024), gpt_530b(2048)});
    all.push_back({std::string("1t ") + name, of(name, 1024), gpt_1t(2048)});
    all.push_back({std::string("1t large ") + name, of(name, 4096), gpt_1t(4096)});
  }
  all.push_back({"175b slow network", slow_network(256), gpt_175b(1024)});
  all.push_back({"1t slow network", slow_network(1024), gpt_1t(2048)});
  all.push_back({"22b mixed", mixed(64), gpt_22b(256)});
  all.push_back({"175b mixed", mixed(256), gpt_175b(512)});
  return all;
}

const Plan& plan_in(const absl::StatusOr<Answer>& answer) {
  EXPECT_TRUE(answer.ok()) << answer.status();
  const auto* plan = std::get_if<Plan>(&*answer);
  EXPECT_NE(plan, nullptr) << std::get<Infeasible>(*answer).reason;
  return *plan;
}

double seconds_of(const Cluster& c, const Transformer& m) {
  const absl::StatusOr<Answer> answer = search(c, m, {});
  if (!answer.ok() || !std::holds_alternative<Plan>(*answer)) return 1e30;
  return std::get<Plan>(*answer).best.step.seconds;
}

TEST(Search, PrunedIsExhaustiveOnEveryScenario) {
  EXPECT_GE(scenarios().size(), 20U);
  for (const Scenario& s : scenarios()) {
    SCOPED_TRACE(s.name);
    const absl::StatusOr<Answer> quick = search(s.cluster, s.model, {}),
                                 all = search(s.cluster, s.model, {}, {true, 5});
    const Plan &a = plan_in(quick), &b = plan_in(all);
    EXPECT_EQ(a.best.layout, b.best.layout);
    EXPECT_EQ(a.best.step.seconds, b.best.step.seconds);
    EXPECT_LE(a.evaluated, b.evaluated);
    ASSERT_EQ(a.alternatives.size(), b.alternatives.size());
    for (size_t i = 0; i < a.alternatives.size(); ++i) {
      EXPECT_EQ(a.alternatives[i].layout, b.alternatives[i].layout);
      EXPECT_FALSE(a.alternatives[i].why.empty());
    }
  }
}

TEST(Search, ThousandDevicesArePlannedAtOnce) {
  const Cluster c = of("selene", 1024);
  const auto took = [&](bool exhaustive, int64_t* candidates) {
    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<Answer> answer = search(c, gpt_175b(1536), {}, {exhaustive, 5});
    *candidates = plan_in(answer).candidates;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  int64_t candidates = 0;
  const double quick = took(false, &candidates), all = took(true, &candidates);
  RecordProperty("pruned_seconds", std::to_string(quick));
  RecordProperty("exhaustive_seconds", std::to_string(all));
  EXPECT_GE(candidates, 50000);
  // The goals are 0.1 and 1 s on a free core; the machine that runs the tests is often shared.
  EXPECT_LE(quick, 0.5);
  EXPECT_LE(all, 5.0);
}

TEST(Search, MoreBandwidthNeverSlowsAPlan) {
  for (const Scenario& s : {scenarios()[0], scenarios()[4], scenarios()[6], scenarios()[18], scenarios()[21]}) {
    double last = seconds_of(s.cluster, s.model);
    Cluster c = s.cluster;
    for (int step = 0; step < 3; ++step) {
      for (NodeGroup& g : c.groups) {
        g.nic_bandwidth *= 2;
        if (step == 1) g.island_bandwidth *= 2, g.nvls_bandwidth *= 2;
        if (step == 2) g.device.bandwidth *= 2;
      }
      const double now = seconds_of(c, s.model);
      EXPECT_LE(now, last * (1 + 1e-12)) << s.name << " " << step;
      last = now;
    }
  }
}

TEST(Search, MoreMemoryNeverRemovesAPlan) {
  for (const Scenario& s : {scenarios()[1], scenarios()[4], scenarios()[20]}) {
    Cluster c = s.cluster;
    for (NodeGroup& g : c.groups) g.device.memory /= 4;
    double last = 1e30;
    for (int step = 0; step < 5; ++step) {
      const double now = seconds_of(c, s.model);
      EXPECT_LE(now, last) << s.name << " " << step;
      last = now;
      for (NodeGroup& g : c.groups) g.device.memory *= 1.5;
    }
    EXPECT_LT(last, 1e30) << s.name;
  }
}

TEST(Search, PermutingNodesChangesNothing) {
  Cluster c = mixed(256);
  NodeGroup half = c.groups[0];
  half.nodes /= 2;
  Cluster shuffled = c;
  shuffled.groups = {half, c.groups[1], half};
  const absl::StatusOr<Answer> one = search(c, gpt_175b(512), {}), other = search(shuffled, gpt_175b(512), {});
  EXPECT_EQ(plan_in(one).best.layout, plan_in(other).best.layout);
  EXPECT_EQ(plan_in(one).best.step.seconds, plan_in(other).best.step.seconds);
}

TEST(Search, SlowerDevicesGetFewerLayers) {
  Wish wish;
  wish.pipeline = 4;
  const Plan plan = plan_in(search(mixed(64), gpt_22b(256), wish));
  const std::vector<int>& layers = plan.best.layout.stage_layers;
  ASSERT_EQ(layers.size(), 4U);
  EXPECT_GT(layers[0] + layers[1], layers[2] + layers[3]);
  EXPECT_EQ(layers[0] + layers[1] + layers[2] + layers[3], 48);
}

TEST(Search, AWishIsKept) {
  Wish wish;
  wish.tensor = 4, wish.schedule = Schedule::kOneFOneB, wish.recompute = Recompute::kFull, wish.micro_batch = 2;
  const Plan plan = plan_in(search(of("selene", 256), gpt_175b(768), wish));
  EXPECT_EQ(plan.best.layout.tensor, 4);
  EXPECT_EQ(plan.best.layout.schedule, Schedule::kOneFOneB);
  EXPECT_EQ(plan.best.layout.recompute, Recompute::kFull);
  EXPECT_EQ(plan.best.layout.micro_batch, 2);
}

TEST(Search, ThePlanFitsStageByStage) {
  for (const Scenario& s : scenarios()) {
    const Plan plan = plan_in(search(s.cluster, s.model, {}));
    ASSERT_EQ(static_cast<int>(plan.stages.size()), plan.best.layout.pipeline);
    for (size_t i = 0; i < plan.stages.size(); ++i) {
      const Cluster c = normal(s.cluster);
      const int group = group_of(c, plan.best.layout, static_cast<int>(i));
      EXPECT_LE(plan.stages[i].total(), usable_bytes(c.groups[static_cast<size_t>(group)].device)) << s.name;
    }
  }
}

}  // namespace
}  // namespace ds::plan

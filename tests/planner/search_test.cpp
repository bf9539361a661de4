// The search: its answer is the exhaustive one, and what must hold whatever the numbers.
#include <gtest/gtest.h>

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

// How long both take is measured by bench/run planner.
TEST(Search, PruningLeavesAThirdOfAThousandDevicesLayoutsUnseen) {
  const Cluster c = of("selene", 1024);
  const absl::StatusOr<Answer> quick = search(c, gpt_175b(1536), {}, {false, 5});
  const absl::StatusOr<Answer> all = search(c, gpt_175b(1536), {}, {true, 5});
  EXPECT_GE(plan_in(all).candidates, 50000);
  EXPECT_LE(3 * plan_in(quick).evaluated, 2 * plan_in(all).evaluated);
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

// By whatever they differ: a group that is taken for another's twin would lend it its speed.
TEST(Search, NodesThatDifferAreNotOneGroup) {
  const Cluster c = of("selene", 32);
  const auto differs = [&](const auto& change) {
    Cluster mixed = c;
    mixed.groups.push_back(mixed.groups[0]);
    change(mixed.groups[1]);
    Cluster turned = mixed;
    std::swap(turned.groups[0], turned.groups[1]);
    EXPECT_EQ(normal(mixed).groups.size(), 2U);
    EXPECT_EQ(seconds_of(mixed, gpt_22b(64)), seconds_of(turned, gpt_22b(64)));
  };
  differs([](NodeGroup& g) { g.device.matmul_efficiency *= 0.5; });
  differs([](NodeGroup& g) { g.device.units /= 2; });
  differs([](NodeGroup& g) { g.device.flash_backward *= 0.5; });
  differs([](NodeGroup& g) { g.nvls_bandwidth = 1e11; });
  differs([](NodeGroup& g) { g.nvlink = false; });
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

// Bytes of a stage against Korthikanti et al., arXiv 2205.05198.
#include "scheduler/memory/memory.h"

#include <gtest/gtest.h>

#include "tests/planner/models.h"

namespace ds::plan {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

struct Published {
  Transformer model;
  int pipeline, interleave, micro_batch;
  double states, tensor_only, sequence_selective;  // GiB, figure 1
};

std::vector<Published> published() {
  return {{gpt_22b(4), 1, 1, 4, 45.5625, 59.25, 9.5625},
          {gpt_175b(64), 8, 3, 1, 45.5625, 66.84375, 12.3515625},
          {gpt_530b(280), 35, 3, 1, 31.640625, 114.0234375, 23.076171875},
          {gpt_1t(512), 64, 1, 1, 32.958984375, 131.25, 26.5625}};
}

double per_layer(const Published& p, Recompute recompute, bool sequence) {
  return layer_activation_bytes(p.model, layout(8, p.pipeline, 1, p.micro_batch, recompute, sequence),
                                of("selene", 8).software);
}

TEST(Activations, OfALayerAreEquations1To6) {
  for (const Published& p : published()) {
    const double s = 2048, b = p.micro_batch, h = static_cast<double>(p.model.hidden), t = 8;
    const double a = static_cast<double>(p.model.heads), sbh = s * b * h, square = 5 * a * s / h;
    EXPECT_DOUBLE_EQ(per_layer(p, Recompute::kNone, false), sbh * (10 + 24 / t + square / t));
    EXPECT_DOUBLE_EQ(per_layer(p, Recompute::kNone, true), sbh / t * (34 + square));
    EXPECT_DOUBLE_EQ(per_layer(p, Recompute::kSelective, false), sbh * (10 + 24 / t));
    EXPECT_DOUBLE_EQ(per_layer(p, Recompute::kSelective, true), 34 * sbh / t);
    EXPECT_DOUBLE_EQ(per_layer(p, Recompute::kFull, false), 2 * sbh);
  }
}

// Figure 1 counts the layers alone, those of the first stage.
TEST(Activations, OfTheFirstStageAreFigure1WithinTwoPercent) {
  for (const Published& p : published()) {
    for (bool selective : {false, true}) {
      Layout l =
          layout(8, p.pipeline, 1, p.micro_batch, selective ? Recompute::kSelective : Recompute::kNone, selective);
      l.interleave = p.interleave;
      l.schedule = p.interleave > 1 ? Schedule::kInterleaved : Schedule::kOneFOneB;
      const double layers = layers_of(p.model, l, 0) * in_flight(p.model, l, 0);
      const double gib = layers * layer_activation_bytes(p.model, l, of("selene", 8).software) / kGiB;
      const double measured = selective ? p.sequence_selective : p.tensor_only;
      EXPECT_NEAR(gib, measured, 0.02 * measured) << p.model.hidden << " " << selective;
    }
  }
}

TEST(States, AreFigure1) {
  for (const Published& p : published()) {
    double most = 0;
    for (int stage = 0; stage < p.pipeline; ++stage) {
      const Memory memory = stage_memory(of("selene", 8), p.model,
                                         layout(8, p.pipeline, 1, p.micro_batch, Recompute::kFull, false), stage);
      most = std::max(most, (memory.weights + memory.gradients + memory.optimizer) / kGiB);
    }
    EXPECT_NEAR(most, p.states, 0.10 * p.states) << p.model.hidden;  // the figure leaves the embedding out
  }
}

TEST(States, ZeroDividesWhatItSays) {
  const Cluster c = of("selene", 64);
  Layout l = layout(8, 1, 8, 1, Recompute::kFull, false);
  Memory stages[4];
  for (int zero = 0; zero < 4; ++zero) {
    l.zero = zero;
    stages[zero] = stage_memory(c, gpt_22b(64), l, 0);
  }
  EXPECT_DOUBLE_EQ(stages[1].optimizer, stages[0].optimizer / 8);
  EXPECT_DOUBLE_EQ(stages[1].gradients, stages[0].gradients);
  EXPECT_DOUBLE_EQ(stages[2].gradients, stages[0].gradients / 8);
  EXPECT_DOUBLE_EQ(stages[3].weights, stages[0].weights / 8);
}

TEST(InFlight, FollowsTheSchedule) {
  const Transformer m = gpt_1t(512);
  Layout l = layout(8, 16, 1, 1, Recompute::kNone, true);
  EXPECT_EQ(in_flight(m, l, 0), 16);
  EXPECT_EQ(in_flight(m, l, 15), 1);
  l.schedule = Schedule::kZbH2;
  EXPECT_EQ(in_flight(m, l, 0), 31);
  l.schedule = Schedule::kVHalf;
  EXPECT_EQ(in_flight(m, l, 0), 9);
  l.schedule = Schedule::kGpipe;
  EXPECT_EQ(in_flight(m, l, 0), 512);
  l.schedule = Schedule::kInterleaved, l.interleave = 4;
  EXPECT_DOUBLE_EQ(in_flight(m, l, 0), 16 * (1 + 15.0 / (16 * 4)));
}

}  // namespace
}  // namespace ds::plan

// Costs of kernels and layers, against what they must be and against published times of one layer.
#include "scheduler/cost/layer.h"

#include <gtest/gtest.h>

#include "scheduler/cost/kernels.h"
#include "tests/planner/models.h"

namespace ds::plan {
namespace {

Device a100() { return *device_preset("a100-80gb"); }

TEST(Gemm, NeverBeatsThePeakAndALargeOneComesNear) {
  for (int64_t n : {64, 300, 1024, 4096, 12288}) {
    const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
    EXPECT_LT(flops / gemm_seconds(a100(), n, n, n), a100().peak_bf16) << n;
  }
  const double large = 2.0 * 12288.0 * 12288 * 12288 / gemm_seconds(a100(), 12288, 12288, 12288);
  EXPECT_GT(large, 0.7 * a100().peak_bf16);
}

TEST(Gemm, OneTileMoreThanAWaveCostsAnotherWave) {
  // 108 tiles of 256 x 128 fill the device once.
  const double full = gemm_seconds(a100(), 256 * 108, 128, 8192), over = gemm_seconds(a100(), 256 * 109, 128, 8192);
  EXPECT_GT(over, full * 1.05);
}

TEST(Gemm, AThinOneIsBoundByItsBytes) {
  const Device d = a100();
  EXPECT_GE(gemm_seconds(d, 1, 12288, 12288), 2.0 * 12288 * 12288 / d.bandwidth);
}

// arXiv 2205.05198 table 4: a 22B layer on 8 A100, micro-batch 4, milliseconds. The A100's constants are calibrated
// here and nowhere else.
TEST(Layer, TimesOfKorthikantiTable4) {
  struct Row {
    Recompute recompute;
    bool sequence;
    double forward, backward;
  };
  const Cluster cluster = of("selene", 8);
  for (const Row& row : {Row{Recompute::kNone, false, 7.7, 11.9}, Row{Recompute::kNone, true, 7.2, 11.8},
                         Row{Recompute::kFull, false, 7.7, 19.5}, Row{Recompute::kSelective, false, 7.7, 13.2},
                         Row{Recompute::kSelective, true, 7.2, 13.1}}) {
    const PieceTime time =
        layer_time(cluster, cluster.groups[0], gpt_22b(4), layout(8, 1, 1, 4, row.recompute, row.sequence));
    EXPECT_NEAR(time.forward_total() * 1e3, row.forward, 0.05 * row.forward);
    EXPECT_NEAR(time.backward_total() * 1e3, row.backward, 0.05 * row.backward);
  }
}

TEST(Layer, GradientsCostTwiceTheForward) {
  const Cluster cluster = of("selene", 8);
  const PieceTime time =
      layer_time(cluster, cluster.groups[0], gpt_175b(64), layout(8, 1, 1, 1, Recompute::kNone, true));
  EXPECT_GT(time.backward_input, 0.9 * time.forward);
  EXPECT_GT(time.backward_weight, 0.6 * time.forward);
  EXPECT_LT(time.backward_input + time.backward_weight, 2.6 * time.forward);
}

TEST(Layer, ASlowHostIsTheFloor) {
  Cluster cluster = of("selene", 8);
  const Transformer small = gpt(12, 256, 4, 8, 51200, 128);
  const Layout l = layout(1, 1, 8, 1, Recompute::kNone, false);
  const double before = layer_time(cluster, cluster.groups[0], small, l).forward;
  cluster.software.host_seconds *= 10;
  EXPECT_NEAR(layer_time(cluster, cluster.groups[0], small, l).forward, 10 * before, before);
}

// Published counts: model FLOPs of 175B at batch 64 are 72 B L s h^2 (1 + s/6h + V/12hL).
TEST(Flops, AreThePublishedFormulas) {
  const Transformer m = gpt_175b(64);
  const double h = 12288, s = 2048, l = 96, v = 51200, b = 64;
  const double published = 72 * b * l * s * h * h * (1 + s / (6 * h) + v / (12 * h * l));
  EXPECT_NEAR(model_flops(m), published, 1e-9 * published);
  const double full = 96 * b * l * s * h * h * (1 + s / (6 * h) + v / (16 * h * l));
  EXPECT_NEAR(hardware_flops(m, Recompute::kFull), full, 1e-9 * full);
  const double selective = 72 * b * l * s * h * h * (1 + s / (4.5 * h) + v / (12 * h * l));
  EXPECT_NEAR(hardware_flops(m, Recompute::kSelective), selective, 1e-9 * selective);
}

TEST(Step, PartsSumToTheWhole) {
  const Cluster cluster = of("selene", 64);
  const Step step = step_time(cluster, gpt_175b(64), layout(8, 8, 1, 1, Recompute::kFull, false));
  EXPECT_DOUBLE_EQ(step.parts.total(), step.seconds);
  EXPECT_NEAR(step.mfu * 312e12, step.model_flops_per_device, 1e6);
}

}  // namespace
}  // namespace ds::plan

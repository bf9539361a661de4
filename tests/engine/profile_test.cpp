// What a step is said to ask for, against arithmetic by hand.
#include "engine/train/profile.h"

#include <gtest/gtest.h>

namespace ds::train {
namespace {

TrainConfig config(const std::string& family) {
  TrainConfig c;
  c.model.family = family;
  c.model.hidden = {64, 32};
  c.model.channels = {8};
  c.data.dataset = "fashion_mnist";
  c.data.limit = 64;
  c.optimizer.name = "adamw";
  c.batch_size = 32;
  return c;
}

TEST(Profile, OfAnMlpIsItsMatrixProducts) {
  const ModelProfile p = profile(config("mlp"));
  const double weights = 784 * 64 + 64 * 32 + 32 * 10, first = 784 * 64;
  EXPECT_EQ(p.parameters, static_cast<int64_t>(weights) + 64 + 32 + 10);
  EXPECT_DOUBLE_EQ(p.gradient_bytes, 4.0 * static_cast<double>(p.parameters));
  EXPECT_DOUBLE_EQ(p.forward_flops, 2 * weights);
  EXPECT_DOUBLE_EQ(p.backward_flops, 4 * weights - 2 * first);  // nobody asks for the gradient of the images
  EXPECT_DOUBLE_EQ(p.sample.matmul_flops, p.forward_flops + p.backward_flops);
  EXPECT_DOUBLE_EQ(p.sample.conv_flops, 0);
  ASSERT_EQ(p.layers.size(), 3u);
  EXPECT_EQ(p.layers[1].name, "layers.1");
  EXPECT_EQ(p.layers[1].parameters, 64 * 32 + 32);
  EXPECT_DOUBLE_EQ(p.layers[1].forward_flops, 2 * 64 * 32);
  // AdamW reads and writes the parameter and both moments, and reads the gradient.
  EXPECT_NEAR(p.update.bytes, 7.0 * p.gradient_bytes, 0.05 * p.update.bytes);
  EXPECT_GT(p.step.kernels, 0);
}

TEST(Profile, ADepthRepeatsTheLastWidth) {
  TrainConfig c = config("mlp");
  c.model.depth = 4;
  EXPECT_EQ(profile(c).parameters, 784 * 64 + 64 * 32 + 2 * 32 * 32 + 32 * 10 + 64 + 3 * 32 + 10);
  c.model.depth = 1;
  EXPECT_EQ(profile(c).parameters, 784 * 64 + 64 * 10 + 64 + 10);
  c = config("cnn");
  c.model.depth = 2;
  EXPECT_EQ(profile(c).parameters, 9 * 8 + 8 + 9 * 8 * 8 + 8 + 8 * 7 * 7 * 128 + 128 + 128 * 10 + 10);
  c.model.depth = 5;
  EXPECT_THROW(profile(c), UserError) << "five poolings leave nothing of the image";
  c.model.depth = -1;
  EXPECT_THROW(profile(c), UserError);
}

TEST(Profile, OfACnnTellsConvolutionsApart) {
  const ModelProfile p = profile(config("cnn"));
  const double conv = 2.0 * 28 * 28 * 8 * 9;
  EXPECT_DOUBLE_EQ(p.layers[0].forward_flops, conv);
  EXPECT_DOUBLE_EQ(p.sample.conv_flops, 2 * conv);  // forward, and the gradient of the weight
  double parameters = 0;
  for (const LayerProfile& l : p.layers) parameters += static_cast<double>(l.parameters);
  EXPECT_EQ(static_cast<int64_t>(parameters), p.parameters);
}

TEST(Profile, WhatIsWrongWithAModelIsTheUsersToMend) {
  TrainConfig c = config("cnn");
  c.model.channels = {8, 8, 8, 8, 8};
  EXPECT_THROW(profile(c), UserError);
  c = config("mlp");
  c.data.path = "/nowhere";
  EXPECT_THROW(profile(c), UserError);
}

TEST(Measure, RatesArePositive) {
  const SlotRates r = measure_rates();
  for (double rate : {r.matmul_flops, r.conv_flops, r.memory_bytes, r.kernel_seconds}) EXPECT_GT(rate, 0);
}

}  // namespace
}  // namespace ds::train

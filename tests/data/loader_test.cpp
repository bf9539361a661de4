#include "engine/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "tests/io/folder.h"

namespace ds::data {
namespace {

using ::ds::testing::message_of;
using ::testing::HasSubstr;

// Sample i is {i, 10 * i}, its target i + 1. Throws at the index `bad`.
class Numbers final : public Dataset {
 public:
  explicit Numbers(int64_t size, int64_t bad = -1) : size_(size), bad_(bad) {}
  int64_t size() const override { return size_; }
  std::span<const int64_t> input_shape() const override { return shape_; }
  DType input_dtype() const override { return DType::f32; }
  std::span<const int64_t> target_shape() const override { return {}; }
  int64_t classes() const override { return size_ + 1; }
  void read(std::span<const int64_t> indices, void* inputs, void* targets) const override {
    auto* out = static_cast<float*>(inputs);
    auto* next = static_cast<int64_t*>(targets);
    for (size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] == bad_) throw DataError("sample " + std::to_string(bad_) + " is bad");
      out[2 * i] = static_cast<float>(indices[i]);
      out[2 * i + 1] = static_cast<float>(10 * indices[i]);
      next[i] = indices[i] + 1;
    }
    ++reads_;
    reads_.notify_all();
  }
  void wait_for_reads(int n) const {
    for (int seen = reads_; seen < n; seen = reads_) reads_.wait(seen);
  }
  int reads() const { return reads_; }

 private:
  std::array<int64_t, 1> shape_ = {2};
  int64_t size_, bad_;
  mutable std::atomic<int> reads_{0};
};

class LoaderTest : public ::testing::TestWithParam<int> {};

TEST_P(LoaderTest, GivesEveryBatchOfItsPartInOrder) {
  const Numbers numbers(50);
  for (int64_t part = 0; part < 3; ++part) {
    Sampler sampler(50, 8, 5);
    Loader loader(numbers, sampler, part, 3, 4, GetParam());
    for (int64_t step = 4; step < 40; ++step) {
      const Batch& batch = loader.next();
      const std::span<const int64_t> global = sampler.batch(step), mine = part_of(global, part, 3);
      ASSERT_EQ(batch.step, step);
      ASSERT_EQ(batch.epoch, step / 6);
      ASSERT_TRUE(std::equal(mine.begin(), mine.end(), batch.indices.begin(), batch.indices.end()));
      ASSERT_EQ(batch.global_samples, 8);
      ASSERT_EQ(batch.global_hash, sample_hash(global));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(batch.inputs) % 64, 0u);
      for (size_t i = 0; i < mine.size(); ++i) {
        ASSERT_EQ(static_cast<const float*>(batch.inputs)[2 * i + 1], static_cast<float>(10 * mine[i]));
        ASSERT_EQ(static_cast<const int64_t*>(batch.targets)[i], mine[i] + 1);
      }
    }
  }
}

TEST_P(LoaderTest, CarriesExceptionsToTheBatchTheyBelongTo) {
  const Numbers numbers(40, /*bad=*/21);
  Loader loader(numbers, Sampler(40, 4, 1, /*shuffle=*/false), 0, 1, 0, GetParam());
  for (int64_t step = 0; step < 5; ++step) EXPECT_EQ(loader.next().step, step);
  EXPECT_THAT(message_of<DataError>([&] { loader.next(); }), HasSubstr("sample 21 is bad"));
  EXPECT_THAT(message_of<DataError>([&] { loader.next(); }), HasSubstr("sample 21 is bad"));
}

INSTANTIATE_TEST_SUITE_P(ReadAhead, LoaderTest, ::testing::Values(0, 1, 2, 5));

TEST(Loader, ReadsAheadWithinItsBoundAndLeavesTheHeldBatchAlone) {
  const Numbers numbers(400);
  Loader loader(numbers, Sampler(400, 4, 1, /*shuffle=*/false), 0, 1, 0, 2);
  const Batch& first = loader.next();
  numbers.wait_for_reads(3);  // the one that is held, and two ahead
  EXPECT_EQ(static_cast<const float*>(first.inputs)[0], 0);
  EXPECT_EQ(numbers.reads(), 3);
  const Batch& second = loader.next();
  numbers.wait_for_reads(4);
  EXPECT_EQ(static_cast<const float*>(second.inputs)[0], 4);
  EXPECT_LE(numbers.reads(), 4);
}

TEST(Loader, RefusesAnImpossiblePart) {
  const Numbers numbers(40);
  EXPECT_THAT(message_of<DataError>([&] { Loader(numbers, Sampler(40, 4, 1), 2, 2, 0); }), HasSubstr("part 2 of 2"));
  EXPECT_THAT(message_of<DataError>([&] { Loader(numbers, Sampler(40, 4, 1), 0, 0, 0); }), HasSubstr("part 0 of 0"));
}

}  // namespace
}  // namespace ds::data

#include "engine/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "engine/data/dataset.h"
#include "engine/data/philox.h"
#include "tests/io/folder.h"

namespace ds::data {
namespace {

using ::ds::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int64_t> copy(std::span<const int64_t> s) { return {s.begin(), s.end()}; }

TEST(Philox, HasThePublishedValues) {  // the known answers of Random123
  EXPECT_THAT(philox({0, 0, 0, 0}, 0), ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox({~0u, ~0u, ~0u, ~0u}, ~0ull), ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
              ElementsAre(0xd16cfe09u, 0x94fdcceb, 0x5001e420u, 0x24126ea1u));
}

TEST(Splitmix64, HasThePublishedValues) {  // first outputs of the generator seeded with 0
  EXPECT_EQ(splitmix64(0), 0xe220a8397b1dcdafull);
  EXPECT_EQ(splitmix64(0x9e3779b97f4a7c15ull), 0x6e789e6aa1b965f4ull);
}

TEST(Permutation, KeepsItsBits) {  // a checkpoint of one version must go on in the next
  EXPECT_THAT(permutation(10, 7, 3), ElementsAre(6, 4, 0, 2, 9, 8, 7, 3, 5, 1));
  EXPECT_EQ(sample_hash(std::span<const int64_t>(permutation(60000, 7, 1)).first(128)), 0xb6474137750f0a11ull);
}

TEST(Permutation, IsOneAndChangesWithSeedAndEpoch) {
  for (int64_t n : {1, 2, 3, 17, 1000}) {
    std::vector<int64_t> order = permutation(n, 5, 2);
    std::sort(order.begin(), order.end());
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order, all);
  }
  EXPECT_NE(permutation(1000, 5, 2), permutation(1000, 5, 3));
  EXPECT_NE(permutation(1000, 5, 2), permutation(1000, 6, 2));
}

TEST(Permutation, IsUniform) {
  // Each of the 24 orders of 4: expected 1000 of 24,000, standard deviation about 31.
  std::vector<int> seen(256);
  for (int64_t epoch = 0; epoch < 24000; ++epoch) {
    const std::vector<int64_t> p = permutation(4, 11, epoch);
    ++seen[static_cast<size_t>(p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3])];
  }
  int orders = 0;
  for (int count : seen) {
    if (count == 0) continue;
    ++orders;
    EXPECT_NEAR(count, 1000, 160);
  }
  EXPECT_EQ(orders, 24);
}

TEST(Sampler, UsesEachSampleOnceAnEpoch) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    const int64_t samples = 1 + random() % 500, batch = 1 + random() % samples;
    Sampler sampler(samples, batch, random());
    const int64_t steps = sampler.steps_per_epoch();
    EXPECT_EQ(steps, samples / batch);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int> used(static_cast<size_t>(samples));
      for (int64_t step = epoch * steps; step < (epoch + 1) * steps; ++step) {
        EXPECT_EQ(sampler.epoch_of(step), epoch);
        for (int64_t index : sampler.batch(step)) ++used.at(static_cast<size_t>(index));
      }
      // The last, partial batch is dropped: the rest is used once, nothing twice.
      EXPECT_EQ(std::count(used.begin(), used.end(), 1), steps * batch);
      EXPECT_EQ(std::count(used.begin(), used.end(), 0), samples - steps * batch);
    }
  }
}

TEST(Sampler, AnySplitGivesTheSameGlobalBatchAndPartsNest) {
  std::mt19937 random(2);
  Sampler sampler(1000, 97, 4);
  const std::vector<int64_t> whole = copy(sampler.batch(12));
  for (int64_t parts : {1, 2, 3, 4, 8, 16, 97, 100}) {
    std::vector<int64_t> joined;
    size_t shortest = whole.size(), longest = 0;
    for (int64_t i = 0; i < parts; ++i) {
      const std::span<const int64_t> part = part_of(whole, i, parts);
      joined.insert(joined.end(), part.begin(), part.end());
      shortest = std::min(shortest, part.size());
      longest = std::max(longest, part.size());
    }
    EXPECT_EQ(joined, whole) << parts;
    EXPECT_LE(longest - shortest, 1u) << parts;
    EXPECT_LE(longest, (whole.size() + parts - 1) / parts) << parts;
    for (int64_t k : {1, 2, 3, 8}) {
      for (int64_t i = 0; i < parts; ++i) {
        const std::span<const int64_t> part = part_of(whole, i, parts);
        EXPECT_EQ(part_of(whole, i * k, parts * k).data(), part.data());
        EXPECT_EQ(&*part_of(whole, i * k + k - 1, parts * k).end(), &*part.end());
      }
    }
  }
  EXPECT_THAT(message_of<DataError>([&] { part_of(whole, 2, 2); }), HasSubstr("part 2 of 2"));
  EXPECT_THAT(message_of<DataError>([&] { part_of(whole, 0, 0); }), HasSubstr("part 0 of 0"));
}

TEST(Sampler, ResumesAnywhere) {
  Sampler whole(100, 7, 9);
  std::vector<std::vector<int64_t>> batches;
  for (int64_t step = 0; step < 60; ++step) batches.push_back(copy(whole.batch(step)));
  for (int64_t start : {0, 1, 13, 14, 15, 59}) {
    Sampler resumed(100, 7, 9);
    for (int64_t step = start; step < 60; ++step) {
      EXPECT_EQ(copy(resumed.batch(step)), batches[static_cast<size_t>(step)]);
    }
  }
  EXPECT_EQ(copy(whole.batch(3)), batches[3]);  // and goes back
}

TEST(Sampler, KeepsTheOrderWhenNotAskedToShuffle) {
  Sampler sampler(10, 4, 1, /*shuffle=*/false);
  EXPECT_THAT(copy(sampler.batch(1)), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(copy(sampler.batch(2)), ElementsAre(0, 1, 2, 3));
}

TEST(Sampler, RefusesImpossibleBatches) {
  EXPECT_THAT(message_of<DataError>([] { Sampler(10, 0, 1); }), HasSubstr("batch_size is 0"));
  EXPECT_THAT(message_of<DataError>([] { Sampler(10, 11, 1); }), HasSubstr("[1, 10]"));
  EXPECT_THAT(message_of<DataError>([] { Sampler(10, 1, 1).batch(-1); }), HasSubstr("step is -1"));
}

TEST(SampleHash, IgnoresOrderAndSplit) {
  const std::vector<int64_t> a = {1, 2, 3, 4}, b = {4, 2, 1, 3}, c = {1, 2, 3, 5};
  EXPECT_EQ(sample_hash(a), sample_hash(b));
  EXPECT_NE(sample_hash(a), sample_hash(c));
  EXPECT_EQ(sample_hash(a), sample_hash(part_of(a, 0, 2)) + sample_hash(part_of(a, 1, 2)));
  EXPECT_EQ(sample_hash({}), 0u);
}

}  // namespace
}  // namespace ds::data

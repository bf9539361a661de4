// Pipeline schedules: every generator's lists are legal at random sizes, and wrong lists are caught.
#include <gtest/gtest.h>

#include <random>

#include "scheduler/pipeline/simulate.h"

namespace ds::pipeline {
namespace {

using Random = std::mt19937;

int between(Random& random, int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

// A size that the generator takes.
Request some_request(const Generator& row, Random& random) {
  Request request;
  request.stages = between(random, 1, 9);
  request.micro_batches = between(random, 1, 30);
  request.chunks = row.any_chunks ? between(random, 1, 4) : row.default_chunks;
  if (row.any_chunks) request.micro_batches = request.stages * between(random, 1, 4);
  if (std::string(row.name) == "dualpipe-v") request.micro_batches += 2 * request.stages;
  return request;
}

class EveryGenerator : public testing::TestWithParam<Generator> {};

TEST_P(EveryGenerator, MakesLegalListsOfAnySize) {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    Request request = some_request(GetParam(), random);
    auto schedule = make_schedule(GetParam().name, request);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    ASSERT_TRUE(check(*schedule).ok()) << request.stages << " x " << request.micro_batches << ": " << check(*schedule);
    Schedule full = with_communication(*schedule);
    ASSERT_TRUE(check(full).ok()) << check(full);
    auto plain = simulate(*schedule, request.costs), talking = simulate(full, request.costs);
    ASSERT_TRUE(plain.ok() && talking.ok());
    EXPECT_EQ(plain->cost, talking->cost);
    EXPECT_GE(plain->cost + 1e-9, lower_bound(GetParam().name, request));
  }
}

TEST_P(EveryGenerator, RefusesWrongSizesByNameAndValue) {
  std::string name = GetParam().name;
  auto told = [&](Request request) { return std::string(make_schedule(name, request).status().message()); };
  EXPECT_EQ(told({.stages = 0, .micro_batches = 4}), "[" + name + "] stages must be at least 1: got 0");
  EXPECT_EQ(told({.stages = 2, .micro_batches = -3}), "[" + name + "] micro_batches must be at least 1: got -3");
  EXPECT_EQ(told({.stages = 2, .micro_batches = 4, .chunks = -1}), "[" + name + "] chunks must be at least 1: got -1");
}

std::string test_name(const testing::TestParamInfo<Generator>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Schedules, EveryGenerator, testing::ValuesIn(generators()), test_name);

}  // namespace
}  // namespace ds::pipeline

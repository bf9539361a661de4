// Pipeline schedules: every generator's lists are legal at random sizes, and wrong lists are caught.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
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

// The largest of what stages hold.
double peak(const Schedule& schedule) {
  double most = 0;
  for (double held : peak_activations(schedule, {})) most = std::max(most, held);
  return most;
}

struct Measured {
  double bubble_time;  // beyond the work of a stage
  double peak;
};

// Of F = B = W = 1, a stage's times, without transfers.
Measured measure(const std::string& name, int stages, int micro_batches, int chunks = 0) {
  Request request{.stages = stages, .micro_batches = micro_batches, .chunks = chunks};
  auto row = find_generator(name);
  if (chunks == 0) chunks = (*row)->default_chunks;
  request.costs = Costs::even(1, 1, 1, 0, chunks);
  auto schedule = make_schedule(name, request);
  auto result = simulate(*schedule, request.costs);
  return {result->cost - 3 * micro_batches, peak(*schedule)};
}

// arXiv 2104.04473 section 2.2, 2401.10241 table 1 and section 6, 2405.15362 table 1.
TEST(Formulas, BubblesAndMemoryAreThePapers) {
  for (int p = 2; p <= 12; ++p) {
    int m = 4 * p;
    double one = p - 1;
    auto near = [&](const char* name, Measured got, double bubble, double held) {
      EXPECT_NEAR(got.bubble_time, bubble, 1e-9) << name << " p=" << p;
      EXPECT_NEAR(got.peak, held, 1e-9) << name << " p=" << p;
    };
    near("gpipe", measure("gpipe", p, m), 3 * one, m);
    near("1f1b", measure("1f1b", p, m), 3 * one, p);
    for (int v : {2, 3, 4}) near("interleaved", measure("interleaved", p, m, v), 3 * one / v, p + (one) / v);
    near("zb-h1", measure("zb-h1", p, m), one, p);
    near("zb-h2", measure("zb-h2", p, m), 0, 2 * p - 1);
    Measured vee = measure("zb-v", p, m), half = measure("v-half", p, m), least = measure("v-min", p, m);
    EXPECT_LE(vee.bubble_time, 1.5) << p;
    EXPECT_LE(vee.peak, p) << p;
    EXPECT_LE(half.bubble_time, 1.5 * one) << p;  // half of 1f1b's
    EXPECT_LE(half.peak, p / 2.0 + 1) << p;
    EXPECT_LE(least.bubble_time, 2 * one + 1) << p;  // two thirds of it
    EXPECT_LE(least.peak, p / 3.0 + 4.0 / 3) << p;
    Measured twice = measure("zb-2p", p, m), once = measure("zb-1p", p, m);
    EXPECT_NEAR(twice.bubble_time, 0, 1e-9) << p;
    EXPECT_LE(once.bubble_time, one + 1e-9) << p;
  }
}

TEST(Formulas, ClosedFormsAreTheSimulators) {
  Random random(2);
  std::uniform_real_distribution<double> time(0, 4), small(0, 0.3);
  std::map<std::string, int> met;
  for (int round = 0; round < 3000; ++round) {
    for (const Generator& row : generators()) {
      if (row.searches) continue;
      Request request = some_request(row, random);
      double transfer = round % 3 == 0 ? time(random) : round % 3 == 1 ? small(random) : 0;
      request.costs = Costs::even(time(random), time(random), time(random), transfer, request.chunks);
      auto cost = closed_form_cost(row.name, request);
      if (!cost) continue;
      auto schedule = make_schedule(row.name, request);
      auto result = simulate(*schedule, request.costs);
      ASSERT_NEAR(*cost, result->cost, 1e-9 * *cost)
          << row.name << " p=" << request.stages << " m=" << request.micro_batches << " v=" << request.chunks;
      ++met[row.name];
    }
  }
  EXPECT_EQ(met["gpipe"], 3000);
  EXPECT_EQ(met["1f1b"], 3000);
  for (const char* name : {"interleaved", "zb-h1", "zb-h2"}) EXPECT_GT(met[name], 200) << name;
}

TEST(Formulas, NoScheduleIsBelowItsBound) {
  Random random(3);
  std::uniform_real_distribution<double> time(0, 4);
  for (int round = 0; round < 100; ++round) {
    for (const Generator& row : generators()) {
      Request request = some_request(row, random);
      request.costs.times.clear();
      for (int i = 0; i < request.stages * request.chunks; ++i) {
        request.costs.times.push_back({time(random), time(random), time(random)});
      }
      for (int i = 0; i < request.stages; ++i) request.costs.transfer.push_back(time(random) / 4);
      auto schedule = make_schedule(row.name, request);
      ASSERT_TRUE(schedule.ok()) << schedule.status();
      ASSERT_TRUE(check(*schedule).ok()) << check(*schedule);
      ASSERT_GE(simulate(*schedule, request.costs)->cost + 1e-9, lower_bound(row.name, request)) << row.name;
    }
  }
}

// Puts one fault into a list; what it is called, or "" where this fault would be none.
std::string spoil(Schedule& schedule, Random& random) {
  List& list = schedule.lists[between(random, 0, schedule.stages - 1)];
  int at = between(random, 0, static_cast<int>(list.size()) - 1);
  switch (between(random, 0, 3)) {
    case 0:
      list.erase(list.begin() + at);
      return "dropped";
    case 1:
      list.insert(list.begin() + at, list[at]);
      return "doubled";
    case 2:
      list[at].micro_batch = schedule.micro_batches + at;
      return "out of range";
    default: {
      // A backward before its own forward can never be right.
      for (size_t i = 0; i < list.size(); ++i) {
        if (list[i].kind != Kind::forward || list[i].micro_batch != at % schedule.micro_batches) continue;
        for (size_t k = i + 1; k < list.size(); ++k) {
          bool same = list[k].micro_batch == list[i].micro_batch && list[k].chunk == list[i].chunk;
          if (same) return std::swap(list[i], list[k]), "swapped";
        }
      }
      return "";
    }
  }
}

TEST(Check, CatchesEverySpoiledList) {
  Random random(4);
  for (const Generator& row : generators()) {
    for (int round = 0; round < 60; ++round) {
      auto schedule = make_schedule(row.name, some_request(row, random));
      std::string fault = spoil(*schedule, random);
      if (fault.empty()) continue;
      EXPECT_FALSE(check(*schedule).ok()) << row.name << ": " << fault;
    }
  }
}

TEST(Check, SeesADeadlockAcrossStages) {
  auto schedule = *make_schedule("1f1b", {.stages = 2, .micro_batches = 2});
  // Stage 0 wants micro-batch 0 back before it sends 1, stage 1 wants 1 before it gives 0 back.
  schedule.lists[0] = {{Kind::forward, 0}, {Kind::backward, 0}, {Kind::forward, 1}, {Kind::backward, 1}};
  schedule.lists[1] = {{Kind::forward, 0}, {Kind::forward, 1}, {Kind::backward, 0}, {Kind::backward, 1}};
  EXPECT_EQ(
      check(schedule).message(),
      "[1f1b] deadlock: stage 0 at BW of micro-batch 0, chunk 0 waits for the backward of stage 1, chunk 0; stage 1 "
      "at F of micro-batch 1, chunk 0 waits for the forward of stage 0, chunk 0");
}

TEST(Check, SeesTooManyActivations) {
  auto schedule = *make_schedule("zb-h2", {.stages = 4, .micro_batches = 12});
  schedule.activation_limit.assign(4, 6.5);
  EXPECT_EQ(check(schedule).message(), "[zb-h2] stage 0: holds 7 activations, more than its limit of 6.5");
}

TEST(Check, SeesTransfersThatDoNotMeet) {
  Schedule good = with_communication(*make_schedule("zb-h1", {.stages = 3, .micro_batches = 4}));
  ASSERT_TRUE(check(good).ok());
  auto spoiled = [&](Kind kind, auto change) {
    Schedule schedule = good;
    List& list = schedule.lists[1];
    change(list, std::find_if(list.begin(), list.end(), [&](const Operation& op) { return op.kind == kind; }));
    return std::string(check(schedule).message());
  };
  using At = List::iterator;
  EXPECT_EQ(spoiled(Kind::receive_activation, [](List& list, At at) { list.erase(at); }),
            "[zb-h1] stage 1: F of micro-batch 0, chunk 0 has no receive before it");
  EXPECT_EQ(spoiled(Kind::send_activation, [](List&, At at) { std::swap(*at, *(at - 1)); }),
            "[zb-h1] stage 1: send activation of micro-batch 0, chunk 0 does not follow what it sends");
  EXPECT_NE(spoiled(Kind::send_gradient, [](List& list, At at) { list.erase(at); }), "");
  EXPECT_NE(spoiled(Kind::receive_gradient, [](List&, At at) { at->peer = 0; }), "");
}

TEST(Names, AnUnknownScheduleIsAnsweredWithTheNearest) {
  EXPECT_EQ(
      make_schedule("zb-h3", {}).status().message(),
      "unknown schedule \"zb-h3\": did you mean zb-h1? known: gpipe, 1f1b, interleaved, zb-h1, zb-h2, zb-v, v-half, "
      "v-min, dualpipe-v, zb-1p, zb-2p");
}

TEST(Requests, WhatAScheduleCannotDoIsRefusedWithItsValue) {
  auto told = [](const char* name, Request request) {
    return std::string(make_schedule(name, request).status().message());
  };
  EXPECT_EQ(told("interleaved", {.stages = 4, .micro_batches = 6}),
            "[interleaved] micro_batches must be a multiple of stages (4): got 6");
  EXPECT_EQ(told("dualpipe-v", {.stages = 4, .micro_batches = 7}),
            "[dualpipe-v] micro_batches must be at least twice the stages (8): got 7");
  EXPECT_EQ(told("zb-v", {.stages = 4, .micro_batches = 8, .chunks = 3}),
            "[zb-v] has 2 chunks a stage, no others: got 3");
  EXPECT_EQ(told("zb-1p", {.stages = 4, .micro_batches = 8, .memory_limit = 0.5}),
            "memory_limit is too small for a micro-batch at every stage: got 0.5");
  Request short_of{.stages = 4, .micro_batches = 8};
  short_of.costs.times.resize(3);
  EXPECT_EQ(told("1f1b", short_of), "[pipeline costs] times must be 1 or one a stage and chunk (4): got 3");
}

TEST(Search, LessMemoryIsKeptAndNeverFaster) {
  double before = 0;
  for (double limit : {16.0, 10.0, 8.0, 6.0, 4.0, 2.0, 1.0}) {
    Request request{.stages = 8, .micro_batches = 24, .memory_limit = limit};
    request.costs = Costs::even(2, 2, 1, 0.1);
    auto schedule = make_schedule("zb-2p", request);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    ASSERT_TRUE(check(*schedule).ok()) << check(*schedule);
    EXPECT_LE(peak(*schedule), limit);
    double cost = simulate(*schedule, request.costs)->cost;
    EXPECT_GE(cost, before);
    before = cost;
  }
}

TEST(Simulate, TransfersHoldTheirSenderWhereTheyDoNotOverlap) {
  auto schedule = *make_schedule("gpipe", {.stages = 2, .micro_batches = 2});
  Costs costs = Costs::even(1, 1, 1, 0.5);
  EXPECT_DOUBLE_EQ(simulate(schedule, costs)->cost, 3 * 2 + 3 + 1);
  costs.overlapped = false;  // stage 0 sends twice, stage 1 too
  EXPECT_DOUBLE_EQ(simulate(schedule, costs)->cost, 3 * 2 + 3 + 1 + 0.5 + 0.5);
}

}  // namespace
}  // namespace ds::pipeline

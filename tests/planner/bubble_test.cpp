// The closed forms that the search plans with, against the simulation of the schedules' own lists.
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/memory/memory.h"
#include "scheduler/pipeline/simulate.h"
#include "tests/planner/models.h"

namespace ds::plan {
namespace {

constexpr Schedule kAll[] = {Schedule::kGpipe, Schedule::kOneFOneB, Schedule::kInterleaved,
                             Schedule::kZbH1,  Schedule::kZbH2,     Schedule::kZbV,
                             Schedule::kVHalf, Schedule::kVMin,     Schedule::kDualPipeV};

struct Case {
  Layout layout;
  int micro = 0;
  PieceTime pass;
  pipeline::Result played;
};

Case play(Schedule schedule, int stages, int micro, double f, double b, double w) {
  Case c;
  c.layout.pipeline = stages, c.layout.schedule = schedule, c.micro = micro;
  c.layout.interleave = schedule == Schedule::kInterleaved ? 2 : 1;
  c.pass.forward = f, c.pass.backward_input = b, c.pass.backward_weight = w;
  const bool two = schedule == Schedule::kInterleaved || schedule >= Schedule::kZbV;
  pipeline::Request request;
  request.stages = stages, request.micro_batches = micro;
  request.costs = pipeline::Costs::even(f, b, w, 0, two ? 2 : 1);
  auto lists = pipeline::make_schedule(name_of(schedule), request);
  EXPECT_TRUE(lists.ok()) << lists.status();
  c.played = *pipeline::simulate(*lists, request.costs);
  return c;
}

TEST(Bubble, OfEveryScheduleIsItsSimulations) {
  for (Schedule schedule : kAll) {
    for (int stages : {4, 8, 16}) {
      for (int micro : {2 * stages, 5 * stages}) {
        for (const auto& [b, w] : {std::pair{1.05, 1.0}, {1.2, 0.85}, {1.45, 0.6}}) {
          const Case c = play(schedule, stages, micro, 1, b, w);
          const double pass = 1 + b + w;
          const double step = micro * pass + bubble_seconds(c.layout, micro, (stages - 1) * pass, c.pass);
          EXPECT_NEAR(step, c.played.makespan, 0.025 * c.played.makespan)
              << name_of(schedule) << " " << stages << " x " << micro << " B " << b << " W " << w;
        }
      }
    }
  }
}

TEST(Bubble, MemoryHoldsWhatTheListsHold) {
  for (Schedule schedule : kAll) {
    for (int stages : {4, 8, 16}) {
      const Case c = play(schedule, stages, 4 * stages, 1, 1, 1);
      double peak = 0;
      for (const pipeline::StageResult& stage : c.played.stages) peak = std::max(peak, stage.peak_activation);
      const double held = in_flight(gpt(64, 1024, 16, 4 * stages), c.layout, 0);
      EXPECT_GE(held, peak - 1e-9) << name_of(schedule) << " " << stages;
      EXPECT_LE(held, peak + 1) << name_of(schedule) << " " << stages;
    }
  }
}

}  // namespace
}  // namespace ds::plan

#include "scheduler/plan/goodput.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scheduler/plan/calibrate.h"
#include "tests/planner/models.h"

namespace ds::plan {
namespace {

GoodputInput weeks() {
  GoodputInput in;
  in.mean_time_to_failure = 7.9 * 3600;
  in.days = 365;
  in.straggler_share = 0;
  return in;
}

TEST(Goodput, IsWhatItsPartsLeave) {
  const Goodput g = simulate_goodput(weeks());
  const double all = g.training_seconds + g.lost_seconds + g.detection_seconds + g.restart_seconds +
                     g.checkpoint_seconds + g.straggler_seconds;
  EXPECT_NEAR(g.goodput, g.training_seconds / all, 1e-9);
}

// Renewal theory: a failure costs half an interval, the detection and the restart; their number is time over MTTF.
TEST(Goodput, NearsTheClosedForm) {
  const GoodputInput in = weeks();
  const Goodput g = simulate_goodput(in);
  const double down = in.detection + in.restart, interval = in.checkpoint_every + in.checkpoint_stall;
  const double up = in.mean_time_to_failure / (in.mean_time_to_failure + down);
  const double kept = up * (1 - interval / 2 / in.mean_time_to_failure) * in.checkpoint_every / interval;
  EXPECT_NEAR(g.goodput, kept, 0.005);
  EXPECT_NEAR(g.failures, in.days * 86400 / (in.mean_time_to_failure + down), 4 * std::sqrt(1000.0));
}

TEST(Goodput, IsTheSameForTheSameSeed) {
  GoodputInput in = weeks();
  in.straggler_share = 0.001;
  const Goodput a = simulate_goodput(in), b = simulate_goodput(in);
  EXPECT_EQ(a.goodput, b.goodput);
  in.seed = 2;
  EXPECT_NE(a.goodput, simulate_goodput(in).goodput);
}

TEST(Goodput, FallsWithFailuresAndStragglers) {
  GoodputInput in = weeks();
  const double calm = simulate_goodput(in).goodput;
  in.straggler_share = 0.01;
  const double slow = simulate_goodput(in).goodput;
  EXPECT_LT(slow, calm);
  in.mean_time_to_failure /= 4;
  EXPECT_LT(simulate_goodput(in).goodput, slow);
}

TEST(Goodput, RefusesWhatIsNoTime) {
  GoodputInput in = weeks();
  in.mean_time_to_failure = 0;
  EXPECT_EQ(check(in).message(), "[goodput] mttf must be > 0");
}

TEST(Calibrate, FindsConstantsThatMadeTheRows) {
  Cluster truth = *preset("a100-800");
  truth.groups[0].device.matmul_efficiency *= 0.8;
  truth.software.host_seconds *= 1.7;
  std::vector<Measured> rows;
  for (int micro : {1, 2, 4, 8}) {
    for (int64_t hidden : {1024, 2048, 4096}) {
      Measured row{gpt(16, hidden, 16, 32), layout(2, 1, 4, micro, Recompute::kFull, false), 8, 0};
      row.seconds = step_time(*with_devices(truth, 8, true), row.model, row.layout).seconds;
      rows.push_back(row);
    }
  }
  const Cluster before = *preset("a100-800");
  EXPECT_GT(mean_relative_error(before, rows), 0.1);
  EXPECT_LT(mean_relative_error(calibrated(before, rows), rows), 0.03);
}

TEST(RandomPart, IsAboutThatPartAndRepeats) {
  const std::vector<size_t> part = random_part(1440, 10, 7);
  EXPECT_NEAR(static_cast<double>(part.size()), 144, 40);
  EXPECT_EQ(part, random_part(1440, 10, 7));
  EXPECT_NE(part, random_part(1440, 10, 8));
}

}  // namespace
}  // namespace ds::plan

// The local arm: quadratic steps, the bandit that gives it its turns, and what both bring to a study.
#include <gtest/gtest.h>

#include "scheduler/autotune/arms.h"
#include "scheduler/autotune/local.h"
#include "scheduler/autotune/study.h"

namespace ds::autotune {
namespace {

using Eigen::VectorXd;

Around around(int count, uint64_t seed, const std::function<double(const VectorXd&)>& f) {
  Random random(seed);
  Around out{Eigen::MatrixXd(3, count), VectorXd(count)};
  for (int i = 0; i < count; ++i) {
    for (int r = 0; r < 3; ++r) out.points(r, i) = 0.35 + 0.3 * random.uniform();
    out.values[i] = f(out.points.col(i));
  }
  return out;
}

double valley(const VectorXd& x) {  // its top is at (0.5, 0.45, 0.55), and its axes are turned
  const VectorXd d = x - VectorXd{{0.5, 0.45, 0.55}};
  return 3 - d[0] * d[0] - 20 * std::pow(d[1] + 0.5 * d[0], 2) - 5 * std::pow(d[2] - d[1], 2);
}

TEST(AutotuneLocal, FindsTheTopOfAQuadraticInOneStep) {
  Random random(1);
  const auto step = quadratic_step(around(14, 3, valley), 0.3, random);
  ASSERT_TRUE(step);
  EXPECT_LT((*step - VectorXd{{0.5, 0.45, 0.55}}).norm(), 1e-4);
}

TEST(AutotuneLocal, StaysInItsRegionAndInTheBox) {
  Random random(1);
  const Around all = around(14, 4, [](const VectorXd& x) { return 9 * x[0] - x[1] + x[2]; });
  Eigen::Index best;
  all.values.maxCoeff(&best);
  const VectorXd step = *quadratic_step(all, 0.05, random);
  EXPECT_LE((step - all.points.col(best)).cwiseAbs().maxCoeff(), 0.05 + 1e-12);
  EXPECT_NEAR(step[0], all.points(0, best) + 0.05, 1e-9);
  const VectorXd far = *quadratic_step(all, 0.9, random);
  EXPECT_EQ(far, (VectorXd{{1, 0, 1}}));
  const VectorXd telling = *telling_step(all, 0.05, random);
  EXPECT_LE((telling - all.points.col(best)).cwiseAbs().maxCoeff(), 0.05 + 1e-12);
  EXPECT_FALSE(quadratic_step(around(4, 5, valley), 0.1, random));  // too few for a slope
}

TEST(AutotuneArms, TheArmThatBringsMorePlaysMore) {
  std::vector<Play> plays;
  for (int k = 0; k < 6; ++k) plays.push_back({k % 2, k % 2 == 1 ? 1.0 : 0.001});
  int second = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    second += choose_arm(2, plays, random);
  }
  EXPECT_GT(second, 320);
  EXPECT_LT(second, 400);  // the other one is not forgotten
}

double run(Study& study, int trials, const std::function<double(const Point&)>& f, int* local) {
  double best = -1e300;
  for (int k = 0; k < trials; ++k) {
    const int64_t id = study.next_trial();
    const Suggestion s = *study.suggest(id);
    *local += s.source.rfind("local", 0) == 0;
    EXPECT_TRUE(study.apply(Asked{id, s.point, s.source}).ok());
    const double value = f(s.point);
    best = std::max(best, value);
    EXPECT_TRUE(study.apply(Told{id, {value}}).ok());
  }
  return best;
}

TEST(AutotuneStudy, ConvergesWhereTheObjectiveIsSmooth) {
  const auto f = [](const Point& p) {
    return -std::pow(p[0] - 0.62, 2) - 30 * std::pow(p[1] - p[0], 2) - std::pow(p[2] - 0.1, 2);
  };
  int local = 0;
  Study study = *Study::create(*Space::create({{.name = "x"}, {.name = "y"}, {.name = "z"}}), {.seed = 4});
  EXPECT_GT(run(study, 45, f, &local), -1e-6);
  EXPECT_GT(local, 1);
  EXPECT_EQ(study.recommend()->trial, study.recommend()->best_observed);
}

TEST(AutotuneStudy, TakesNoStepsInNoise) {
  Random noise(7);
  int local = 0;
  Study study = *Study::create(*Space::create({{.name = "x"}, {.name = "y"}}), {.seed = 4});
  run(
      study, 60, [&](const Point& p) { return -std::pow(p[0] - 0.62, 2) + 0.5 * noise.normal(); }, &local);
  EXPECT_LT(local, 12);  // before the noise is known
}

}  // namespace
}  // namespace ds::autotune

// Two objectives: the area below a front, what a point is expected to add to it, and studies that look for fronts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/autotune/joint.h"
#include "scheduler/autotune/study.h"

namespace ds::autotune {
namespace {

using testing::HasSubstr;

const std::vector<Pair> kPoints = {{1, 3}, {2, 2}, {2, 1}, {3, 1}, {0.5, 0.5}, {-1, 9}};

TEST(AutotuneFront, KeepsWhatIsNotDominatedAndItsArea) {
  const Front front(kPoints, {0, 0});
  EXPECT_EQ(front.points(), (std::vector<Pair>{{1, 3}, {2, 2}, {3, 1}}));
  EXPECT_DOUBLE_EQ(front.area(), 6);
  EXPECT_EQ(Front({{-1, 5}}, {0, 0}).area(), 0);
}

TEST(AutotuneFront, ItsKneeIsFarthestFromTheLineBetweenItsEnds) {
  EXPECT_EQ(knee({{0.9, 1000}, {0.88, 100}, {0.5, 10}}), 1u);  // maximize, minimize
  EXPECT_EQ(knee({{0.9, 1e6}, {0.89, 9e5}, {0.5, 10}}), 1u) << "in units of the extent";
  EXPECT_EQ(knee({{1, 3}, {2.9, 2.9}, {3, 1}}), 1u);
  EXPECT_EQ(knee({{1, 3}, {3, 1}}), 0u);
  EXPECT_EQ(knee({{1, 3}}), 0u);
}

// The mean growth over a grid of quantiles of both.
double growth_by_sampling(const Front& front, Normal u, Normal v) {
  const auto quantile = [](double p) {  // by bisection of the distribution
    double low = -10, high = 10;
    for (int k = 0; k < 60; ++k) {
      const double mid = (low + high) / 2;
      (0.5 * std::erfc(-mid / std::sqrt(2.0)) < p ? low : high) = mid;
    }
    return low;
  };
  constexpr int kGrid = 400;
  std::vector<double> z;
  for (int k = 0; k < kGrid; ++k) z.push_back(quantile((k + 0.5) / kGrid));
  double sum = 0;
  for (const double a : z) {
    for (const double b : z) {
      std::vector<Pair> more = front.points();
      more.push_back({u.mean + a * u.deviation, v.mean + b * v.deviation});
      sum += Front(more, {0, 0}).area() - front.area();
    }
  }
  return sum / (kGrid * kGrid);
}

TEST(AutotuneFront, ExpectsTheGrowthThatSamplesHave) {
  const Front front(kPoints, {0, 0});
  for (const auto& [u, v] : std::vector<std::pair<Normal, Normal>>{{{2, 0.7}, {2, 0.5}},
                                                                   {{0.5, 1}, {3.2, 0.3}},
                                                                   {{3.5, 0.2}, {0.1, 0.6}},
                                                                   {{2.5, 0}, {1.2, 0.8}},
                                                                   {{1, 0.4}, {3.5, 0}}}) {
    const double expected = growth_by_sampling(front, u, v);
    EXPECT_NEAR(std::exp(front.log_improvement(u, v)), expected, 0.01 * expected);
  }
  EXPECT_NEAR(std::exp(front.log_improvement({2.5, 0}, {2, 0})), 0.5, 1e-12);  // both are known
  EXPECT_EQ(front.log_improvement({2.5, 0}, {0.9, 0}), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isfinite(front.log_improvement({-20, 0.5}, {-20, 0.5})));
}

TEST(AutotuneFront, ItsSlopeIsTheDifference) {
  const Front front(kPoints, {0, 0});
  for (const std::array<double, 4>& at :
       {std::array<double, 4>{2, 0.7, 2, 0.5}, {0.5, 1, 3.2, 0.3}, {-4, 0.5, 1, 0.5}}) {
    std::array<double, 4> slope;
    front.log_improvement({at[0], at[1]}, {at[2], at[3]}, &slope);
    for (size_t i = 0; i < 4; ++i) {
      std::array<double, 4> up = at, down = at;
      up[i] += 1e-6, down[i] -= 1e-6;
      const double difference = front.log_improvement({up[0], up[1]}, {up[2], up[3]}) -
                                front.log_improvement({down[0], down[1]}, {down[2], down[3]});
      EXPECT_NEAR(slope[i], difference / 2e-6, 1e-4 * std::max(1.0, std::abs(slope[i]))) << i;
    }
  }
}

TEST(AutotuneJoint, ClimbsBySlopesThatAreDifferences) {
  auto space = std::make_shared<Space>(*Space::create({{.name = "x"}, {.name = "y"}}));
  Surrogate one(space, {}, 5), two(space, {}, 6);
  Random random(11);
  for (int i = 0; i < 20; ++i) {
    const Point p = space->sample(random);
    one.add(p, -std::pow(p[0] - 0.3, 2));
    two.add(p, -std::abs(p[0] - 0.8) - p[1]);
  }
  const JointImprovement joint({.model = &one}, {.model = &two}, one.points());
  const Point at = {0.42, 0.17};
  VectorXd slope;
  EXPECT_NEAR(joint.value(at, &slope), joint.value({at})[0], 1e-9);
  for (const size_t i : {0, 1}) {
    Point up = at, down = at;
    up[i] += 1e-6, down[i] -= 1e-6;
    const double expected = (joint.value({up})[0] - joint.value({down})[0]) / 2e-6;
    EXPECT_NEAR(slope[static_cast<long>(i)], expected, 1e-3 * std::max(1.0, std::abs(expected)));
  }
}

Told measured(int64_t id, std::vector<double> values) { return {id, std::move(values)}; }

template <typename F>
void run(Study& study, int trials, F&& values) {
  for (int k = 0; k < trials; ++k) {
    const int64_t id = study.next_trial();
    const auto suggestion = study.suggest(id);
    ASSERT_TRUE(suggestion.ok()) << suggestion.status();
    ASSERT_TRUE(study.apply(Asked{id, suggestion->point, suggestion->source}).ok());
    ASSERT_TRUE(study.apply(measured(id, values(suggestion->point))).ok());
  }
}

double area_of(const std::vector<Best>& front, Pair reference) {
  std::vector<Pair> points;
  for (const Best& b : front) points.push_back({-b.means[0], -b.means[1]});
  return Front(points, reference).area();
}

// Schaffer's two parabolas, x^2 and (x - 2)^2, and a distance to the line that only costs.
TEST(AutotuneStudy, FindsTheFrontOfTwoMeasuredObjectives) {
  Study study = *Study::create(*Space::create({{.name = "x", .low = -2, .high = 4}, {.name = "y"}}),
                               {.seed = 3, .objectives = {{.maximize = false}, {.maximize = false}}});
  run(study, 40, [](const Point& p) -> std::vector<double> {
    const double x = -2 + 6 * p[0], off = std::pow(p[1] - 0.4, 2);
    return {x * x + off, (x - 2) * (x - 2) + off};
  });
  const std::vector<Best> front = *study.front();
  // The exact front is sqrt(f1) + sqrt(f2) = 2: below (5, 5) its area is 25 less the integral of (2 - sqrt(f))^2.
  EXPECT_GT(area_of(front, {-5, -5}), 0.985 * (25 - 8.0 / 3));
  EXPECT_GT(front.size(), 8u);
  EXPECT_THAT(std::string(study.recommend().status().message()), HasSubstr("front"));
}

TEST(AutotuneStudy, DoesNotModelWhatIsKnown) {
  const Space space =
      *Space::create({{.name = "units", .kind = Kind::integer, .low = 1, .high = 64}, {.name = "rate"}});
  const Known units = [](const Space& s, const Point& p) { return s.value(0, p[0]); };
  Study study = *Study::create(space, {.seed = 1, .objectives = {{}, {.maximize = false, .known = units}}});
  run(study, 45,
      [&](const Point& p) -> std::vector<double> { return {1 - 1 / space.value(0, p[0]) - std::pow(p[1] - 0.3, 2)}; });
  for (const Trial& t : study.trials()) EXPECT_EQ(t.values.at(1), space.value(0, t.point[0]));
  const std::vector<Best> front = *study.front();
  std::vector<Pair> found, exact;
  for (const Best& b : front) {
    const Point& p = study.trials()[static_cast<size_t>(b.trial)].point;
    EXPECT_EQ(b.means[1], space.value(0, p[0]));
    found.push_back({1 - 1 / b.means[1] - std::pow(p[1] - 0.3, 2), -b.means[1]});
  }
  for (int u = 1; u <= 64; ++u) exact.push_back({1 - 1.0 / u, -1.0 * u});
  const Pair reference = {-0.5, -65};
  EXPECT_GT(Front(found, reference).area(), 0.97 * Front(exact, reference).area());
}

// Curves that settle by their rates, of models from 1 to 8 units: more units do better.
void report_curve(Study& study, int64_t id, double end, int64_t reports) {
  for (int64_t step = 1; step <= reports; ++step)
    ASSERT_TRUE(study.apply(Reported{id, step, end * (1 - std::exp(-0.5 * static_cast<double>(step)))}).ok());
}

TEST(AutotuneStudy, StopsATrialOnlyForThoseThatAreNoWorseInTheKnownObjective) {
  const Space space = *Space::create({{.name = "units", .kind = Kind::integer, .low = 1, .high = 8}, {.name = "rate"}});
  const Known units = [](const Space& s, const Point& p) { return s.value(0, p[0]); };
  Study study = *Study::create(space, {.objectives = {{.maximize = false, .known = units}, {}}});
  int64_t id = 0;
  const auto at = [&](double u, double rate) { return Point{(u - 1) / 7, rate}; };
  for (int k = 0; k < 8; ++k, ++id) {  // large ones, all of them good
    ASSERT_TRUE(study.apply(Asked{id, at(8, 0.1 * k), "test"}).ok());
    report_curve(study, id, 0.9 + 0.001 * k, 8);
    ASSERT_TRUE(study.apply(Told{id, {0.9 + 0.001 * k}}).ok());
  }
  ASSERT_TRUE(study.apply(Asked{id, at(8, 0.95), "test"}).ok());
  report_curve(study, id, 0.3, 2);
  EXPECT_TRUE(*study.should_stop(id)) << "as large, and worse than all";
  ASSERT_TRUE(study.apply(Asked{++id, at(1, 0.95), "test"}).ok());
  report_curve(study, id, 0.3, 2);
  EXPECT_FALSE(*study.should_stop(id)) << "nothing so small does better";
  for (int k = 0; k < 8; ++k) {
    ASSERT_TRUE(study.apply(Asked{++id, at(1, 0.1 * k), "test"}).ok());
    report_curve(study, id, 0.8 + 0.001 * k, 8);
    ASSERT_TRUE(study.apply(Told{id, {0.8 + 0.001 * k}}).ok());
  }
  EXPECT_TRUE(*study.should_stop(9)) << "now some does";
}

TEST(AutotuneStudy, AFrontHoldsNoTrialThatWasStoppedEarly) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.objectives = {{}, {}}});
  ASSERT_TRUE(study.apply(Asked{0, {0.1}, "test"}).ok());
  ASSERT_TRUE(study.apply(Told{0, {5, 5}, Told::stopped}).ok());
  ASSERT_EQ(study.front()->size(), 1u) << "there is no other";
  ASSERT_TRUE(study.apply(Asked{1, {0.9}, "test"}).ok());
  ASSERT_TRUE(study.apply(Told{1, {1, 1}}).ok());
  ASSERT_EQ(study.front()->size(), 1u);
  EXPECT_EQ(study.front()->front().trial, 1);
}

TEST(AutotuneStudy, RefusesObjectivesThatCannotBe) {
  const auto error = [](std::vector<Objective> objectives) {
    return std::string(
        Study::create(*Space::create({{.name = "x"}}), {.objectives = std::move(objectives)}).status().message());
  };
  EXPECT_THAT(error({{}, {}, {}}), HasSubstr("one or two objectives, got 3"));
  EXPECT_THAT(error({{.known = [](const Space&, const Point&) { return 1.0; }}}),
              HasSubstr("nothing for trials to measure"));
}

}  // namespace
}  // namespace ds::autotune

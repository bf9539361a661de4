// Spaces and studies: what is refused, what is suggested, and that a log is all there is to a study.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "scheduler/autotune/study.h"

namespace ds::autotune {
namespace {

using testing::HasSubstr;

std::string error_of(std::vector<Parameter> parameters) {
  return std::string(Space::create(std::move(parameters)).status().message());
}

TEST(AutotuneSpace, NamesWhatIsWrong) {
  EXPECT_EQ(error_of({}), "[autotune] the space has no parameters");
  EXPECT_EQ(error_of({{.name = "lr", .low = 2, .high = 1}}),
            "[autotune] lr: bounds must be finite and low < high, got [2, 1]");
  EXPECT_EQ(error_of({{.name = "lr", .scale = Scale::log, .low = 0, .high = 1}}),
            "[autotune] lr: a log scale needs low > 0, got 0");
  EXPECT_THAT(error_of({{.name = "p", .scale = Scale::logit, .low = 0, .high = 1}}), HasSubstr("within (0, 1)"));
  EXPECT_EQ(error_of({{.name = "n", .kind = Kind::integer, .low = 0.5, .high = 3}}),
            "[autotune] n: an int needs whole bounds, got [0.5, 3]");
  EXPECT_EQ(error_of({{.name = "c", .kind = Kind::categorical, .choices = {"a", "a"}}}),
            "[autotune] c: the choice \"a\" is there twice");
  EXPECT_EQ(error_of({{.name = "a"}, {.name = "a"}}), "[autotune] a: this name is there twice");
  EXPECT_EQ(error_of({{.name = "a", .parent = "b", .when = {"1"}}}), "[autotune] a: the parent \"b\" is no parameter");
  EXPECT_EQ(error_of({{.name = "b", .kind = Kind::integer, .low = 1, .high = 3},
                      {.name = "a", .parent = "b", .when = {"4"}}}),
            "[autotune] a: \"4\" is no value of its parent \"b\"");
  EXPECT_EQ(error_of({{.name = "a", .kind = Kind::integer, .low = 0, .high = 1, .parent = "b", .when = {"0"}},
                      {.name = "b", .kind = Kind::integer, .low = 0, .high = 1, .parent = "a", .when = {"0"}}}),
            "[autotune] a: its parents lead back to it");
}

Space tree() {
  return *Space::create({{.name = "n", .kind = Kind::integer, .scale = Scale::log, .low = 1, .high = 1000},
                         {.name = "kind", .kind = Kind::categorical, .choices = {"a", "b"}},
                         {.name = "x", .low = -1, .high = 1, .parent = "kind", .when = {"b"}}});
}

TEST(AutotuneSpace, CoordinatesGoThereAndBack) {
  const Space space = tree();
  for (const double v : {1.0, 2.0, 30.0, 1000.0}) {
    EXPECT_EQ(space.value(0, *space.coordinate(0, v)), v);
    EXPECT_EQ(space.at(0, space.unit(0, v - 1)), v - 1);
  }
  EXPECT_NEAR(space.value(2, *space.coordinate(2, -0.3)), -0.3, 1e-12);
  EXPECT_EQ(space.coordinate(2, 1.5).status().message(), "[autotune] x: 1.5 is outside [-1, 1]");
  EXPECT_TRUE(space.check({4, 0, kInactive}).ok());
  EXPECT_FALSE(space.check({4, 0, 0.5}).ok());
  EXPECT_FALSE(space.check({4, 1, kInactive}).ok());
  EXPECT_FALSE(space.check({4.5, 0, kInactive}).ok());
}

// Tells each trial its value; lucky(trial) may fail it instead.
template <typename F>
void run(Study& study, int trials, F result) {
  for (int k = 0; k < trials; ++k) {
    const int64_t id = study.next_trial();
    const auto suggestion = study.suggest(id);
    ASSERT_TRUE(suggestion.ok()) << suggestion.status();
    ASSERT_TRUE(study.apply(Asked{id, suggestion->point, suggestion->source}).ok());
    ASSERT_TRUE(study.apply(result(id, suggestion->point)).ok());
  }
}

double bowl(const Point& p) {
  return p[1] == 1 ? -std::pow(p[2] - 0.7, 2) - 0.001 * std::abs(p[0] - 100) : -2 - 0.001 * p[0];
}

TEST(AutotuneStudy, FindsTheBranchAndItsTop) {
  Study study = *Study::create(tree(), {.seed = 3});
  run(study, 40, [](int64_t id, const Point& p) { return Told{id, {bowl(p)}}; });
  const Recommendation best = *study.recommend();
  EXPECT_GT(bowl(study.trials()[static_cast<size_t>(best.trial)].point), -0.02);
  EXPECT_LE(best.low, best.mean);
  EXPECT_LE(best.mean, best.high);
}

TEST(AutotuneStudy, ALogIsAllThereIsToIt) {
  Study study = *Study::create(tree(), {.seed = 8});
  run(study, 25, [](int64_t id, const Point& p) -> Event {
    if (id % 5 == 4) return Failed{id, id % 2 ? Failure::infrastructure : Failure::oom};
    return Told{id, {bowl(p)}};
  });
  Study again = *Study::create(tree(), {.seed = 8});
  for (const Event& event : study.log()) ASSERT_TRUE(again.apply(event).ok());
  const int64_t id = study.next_trial();
  EXPECT_EQ(study.suggest(id)->point, again.suggest(id)->point);
  EXPECT_EQ(study.suggest(id)->point, study.suggest(id)->point);
  EXPECT_EQ(study.recommend()->mean, again.recommend()->mean);
}

TEST(AutotuneStudy, NeverSuggestsWhatIsPendingOrFailedForGood) {
  const Space grid = *Space::create({{.name = "a", .kind = Kind::integer, .low = 0, .high = 5},
                                     {.name = "b", .kind = Kind::categorical, .choices = {"x", "y", "z"}}});
  Study study = *Study::create(grid, {.seed = 1});
  std::set<Point> failed, waiting;
  for (int64_t id = 0; id < 18; ++id) {
    const Suggestion s = *study.suggest(id);
    EXPECT_TRUE(failed.count(s.point) == 0 && waiting.count(s.point) == 0) << id;
    ASSERT_TRUE(study.apply(Asked{id, s.point, s.source}).ok());
    if (id % 3 == 0) {
      waiting.insert(s.point);
    } else if (id % 3 == 1) {
      ASSERT_TRUE(study.apply(Failed{id, Failure::oom}).ok());
      failed.insert(s.point);
    } else {
      ASSERT_TRUE(study.apply(Told{id, {s.point[0]}}).ok());
    }
  }
  EXPECT_EQ(study.trials().size(), 18u);
  // All that is left to do is to run again what gave a value.
  const Suggestion again = *study.suggest(18);
  EXPECT_TRUE(failed.count(again.point) == 0 && waiting.count(again.point) == 0);
}

TEST(AutotuneStudy, WhatInfrastructureLostIsDueAgain) {
  Study study = *Study::create(tree(), {.seed = 1});
  const Point first = study.suggest(0)->point;
  ASSERT_TRUE(study.apply(Asked{0, first, "start"}).ok());
  ASSERT_TRUE(study.apply(Failed{0, Failure::infrastructure}).ok());
  EXPECT_EQ(study.suggest(1)->point, first);
  EXPECT_EQ(study.suggest(1)->source, "retry");
  ASSERT_TRUE(study.apply(Asked{1, first, "retry"}).ok());
  EXPECT_NE(study.suggest(2)->point, first);
}

TEST(AutotuneStudy, LeavesTheRegionThatFails) {
  Study study = *Study::create(*Space::create({{.name = "x"}, {.name = "y"}}), {.seed = 2});
  int late = 0;
  run(study, 60, [&](int64_t id, const Point& p) -> Event {
    if (p[0] > 0.7) return late += id >= 30, Event(Failed{id, Failure::oom});
    return Told{id, {p[0] + p[1]}};  // the best values border on it
  });
  EXPECT_LT(late, 9);
}

TEST(AutotuneStudy, ObeysConstraints) {
  const Space space = *Space::create({{.name = "x"}, {.name = "y"}},
                                     {{"sum", [](const Space&, const Point& p) { return p[0] + p[1] <= 0.5; }}});
  Study study = *Study::create(space, {.seed = 2});
  run(study, 20, [](int64_t id, const Point& p) {
    EXPECT_LE(p[0] + p[1], 0.5);
    return Told{id, {p[0] * p[1]}};
  });
  const Space nothing = *Space::create({{.name = "x"}}, {{"no", [](const Space&, const Point&) { return false; }}});
  EXPECT_THAT(std::string(Study::create(nothing, {})->suggest(0).status().message()), HasSubstr("leave nothing"));
}

TEST(AutotuneStudy, RefusesEventsThatCannotBe) {
  Study study = *Study::create(tree(), {});
  EXPECT_EQ(study.apply(Told{3, {1}}).message(), "[autotune] trial 3: there is none");
  ASSERT_TRUE(study.apply(Asked{0, {4, 0, kInactive}, "start"}).ok());
  EXPECT_FALSE(study.apply(Asked{0, {4, 0, kInactive}, "start"}).ok());
  EXPECT_EQ(study.apply(Told{0, {1, 2}}).message(), "[autotune] trial 0: 2 values for 1 measured objectives");
  EXPECT_THAT(std::string(study.apply(Told{0, {NAN}}).message()), HasSubstr("that is a failure"));
  ASSERT_TRUE(study.apply(Reported{0, 2, 0.1}).ok());
  EXPECT_EQ(study.apply(Reported{0, 2, 0.1}).message(), "[autotune] trial 0: it reports step 2 after step 2");
  ASSERT_TRUE(study.apply(Told{0, {1}}).ok());
  EXPECT_EQ(study.apply(Told{0, {1}}).message(), "[autotune] trial 0: it has ended");
  EXPECT_EQ(study.log().size(), 3u);
}

TEST(AutotuneStudy, StopsTheHopelessAndNeverTheBest) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
  int stopped = 0;
  for (int64_t id = 0; id < 40; ++id) {
    const double top = id == 37 ? 1 : 0.5 * (id * 7 % 11) / 11.0;  // trial 37 is the best
    ASSERT_TRUE(study.apply(Asked{id, {id / 40.0}, "start"}).ok());
    bool stop = false;
    double value = 0;
    for (int step = 1; step <= 16 && !stop; ++step) {
      value = top * (1 - std::exp(-step / 4.0));
      ASSERT_TRUE(study.apply(Reported{id, step, value}).ok());
      stop = *study.should_stop(id);
    }
    EXPECT_FALSE(stop && id == 37);
    stopped += stop;
    ASSERT_TRUE(study.apply(Told{id, {value}, stop ? Told::stopped : Told::whole}).ok());
  }
  EXPECT_GT(stopped, 10);
  EXPECT_EQ(study.recommend()->best_observed, 37);
}

// What the model does not resolve is a point's own as likely as noise: of runs that agree, more than of one.
TEST(AutotuneStudy, ARecommendationHoldsToWhatItsOwnRunsSaid) {
  const auto mean_of_peak = [](int runs) {
    Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
    Random random(3);
    int64_t id = 0;
    const auto tell = [&](double x, double value) {
      EXPECT_TRUE(study.apply(Asked{id, {x}, "start"}).ok());
      EXPECT_TRUE(study.apply(Told{id++, {value}}).ok());
    };
    for (int k = 0; k < 30; ++k) tell(k / 30.0, 0.2 * random.normal());
    for (int k = 0; k < runs; ++k) tell(0.5, 1.0);
    EXPECT_EQ(study.trials()[static_cast<size_t>(study.recommend()->trial)].point, Point{0.5});
    return std::pair(study.recommend()->mean, study.means_at({{0.5}})[0]);
  };
  const auto [once, smooth] = mean_of_peak(1);
  EXPECT_GT(once, smooth + 0.2);
  const auto [thrice, smoother] = mean_of_peak(3);
  EXPECT_GT((thrice - smoother) / (1 - smoother), (once - smooth) / (1 - smooth) + 0.2);
}

TEST(AutotuneStudy, RecommendsWhatHasRunToItsEnd) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
  for (int64_t id = 0; id < 12; ++id) {
    const bool stopped = id % 2 == 1;  // every other one, and these promise the most
    ASSERT_TRUE(study.apply(Asked{id, {id / 12.0}, "start"}).ok());
    ASSERT_TRUE(study.apply(Told{id, {id / 12.0 + stopped}, stopped ? Told::stopped : Told::whole}).ok());
    const Recommendation best = *study.recommend();
    EXPECT_EQ(best.trial % 2, 0) << id;
    EXPECT_EQ(best.best_observed, id - id % 2);
  }
}

}  // namespace
}  // namespace ds::autotune

// Early stopping: forecasts of where a curve ends, whom they stop, and what the model learns of the stopped.
#include "scheduler/autotune/stopping.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ds::autotune {
namespace {

constexpr int kSteps = 20;

// Curves of two kinds that cross: early ones are high at once and stay, late ones come from below and end above.
double early(double top, int step) { return top * (1 - std::exp(-step / 1.5)); }
double late(double top, int step) { return top * step / kSteps; }

using Shape = double (*)(double, int);

Trial trial(int64_t id, Shape shape, double top, int steps) {
  Trial out{.id = id, .point = {id / 100.0}, .source = "start", .values = {}, .curve = {}};
  for (int t = 1; t <= steps; ++t) out.curve.emplace_back(t, shape(top, t));
  if (steps == kSteps) out.state = Trial::finished, out.values = {shape(top, kSteps)};
  return out;
}

// Five finished curves of each kind; the late ones end higher, the best at 0.88.
std::vector<Trial> both_kinds() {
  std::vector<Trial> out;
  for (int64_t id = 0; id < 10; id += 2) {
    out.push_back(trial(id, early, 0.5 + 0.02 * static_cast<double>(id), kSteps));
    out.push_back(trial(id + 1, late, 0.8 + 0.01 * static_cast<double>(id), kSteps));
  }
  return out;
}

TEST(AutotuneStopping, RanksAndCurves) {
  EXPECT_NEAR(rank_correlation({1, 2, 3, 4}, {10, 20, 30, 25}), 0.8, 1e-12);
  EXPECT_NEAR(rank_correlation({1, 2, 2, 4}, {4, 3, 3, 1}), -1, 1e-12);
  EXPECT_EQ(rank_correlation({1, 1, 1}, {1, 2, 3}), 0);
  std::vector<std::pair<int64_t, double>> curve;
  for (int t = 1; t <= 8; ++t) curve.emplace_back(t, 0.9 - 0.5 / t);
  EXPECT_NEAR(extrapolate(curve, 20).value, 0.9 - 0.5 / 20, 0.01);
}

TEST(AutotuneStopping, ForecastsByWhatFinishedCurvesGained) {
  const std::vector<Trial> trials = both_kinds();
  const auto rises = forecast(trials, trial(50, late, 0.83, 6)), stays = forecast(trials, trial(51, early, 0.58, 6));
  ASSERT_TRUE(rises && stays);
  EXPECT_NEAR(rises->value, 0.83, 0.05);  // it is at 0.25 now
  EXPECT_NEAR(stays->value, 0.58, 0.05);
  EXPECT_LT(rises->deviation, 0.1);
  EXPECT_FALSE(forecast({trials.begin(), trials.begin() + 5}, trial(50, late, 0.83, 6)));
}

// The model is told where a stopped trial would have come to, not where it was.
TEST(AutotuneStopping, TeachesWhereTheStoppedWouldHaveEnded) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
  for (int64_t id = 0; id < 12; ++id) {
    const int steps = id == 11 ? 3 : kSteps;
    const double top = 0.8 + 0.01 * static_cast<double>(id);
    ASSERT_TRUE(study.apply(Asked{id, {static_cast<double>(id) / 12}, "start"}).ok());
    for (int t = 1; t <= steps; ++t) ASSERT_TRUE(study.apply(Reported{id, t, late(top, t)}).ok());
    ASSERT_TRUE(study.apply(Told{id, {late(top, steps)}, steps < kSteps ? Told::stopped : Told::whole}).ok());
  }
  EXPECT_GT(study.means_at({{11.0 / 12}})[0], 0.8);  // it was at 0.14
  EXPECT_EQ(study.recommend()->best_observed, 10);
}

// Where curves start says nothing of where they end, a stopped trial's forecast is a wide guess: the model, which is
// sure of a line, is not talked out of it.
TEST(AutotuneStopping, AWideGuessHardlyMovesTheModel) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
  const auto tell = [&](int64_t id, double x, double start, std::optional<double> end) {
    ASSERT_TRUE(study.apply(Asked{id, {x}, "start"}).ok());
    ASSERT_TRUE(study.apply(Reported{id, 1, start}).ok());
    if (end) study.apply(Reported{id, 2, *end}).IgnoreError();
    ASSERT_TRUE(study.apply(Told{id, {end.value_or(start)}, end ? Told::whole : Told::stopped}).ok());
  };
  for (int64_t id = 0; id < 11; ++id) {
    const double x = static_cast<double>(id) / 11;
    tell(id, x, 0.1 + 0.03 * static_cast<double>(id * 4 % 11), 0.4 + 0.2 * x);
  }
  tell(11, 1, 0.25, std::nullopt);
  const std::optional<Forecast> guess = forecast(study.trials(), study.trials().back());
  ASSERT_TRUE(guess);
  EXPECT_LT(guess->value, 0.55);
  EXPECT_GT(guess->deviation, 0.03);
  EXPECT_GT(study.means_at({{1.0}})[0], 0.57);
}

// Ten finished late curves, the best of them at 0.84 in the middle; trial 10, beside it, which would come to 0.95, was
// paused after three reports. A mode takes a lone value so far off for noise: with modes the hill is steeper, and the
// end nearer.
Study with_one_paused(bool modes = false) {
  StudyOptions options{.seed = 5};
  options.surrogate.modes = modes;
  options.propose.local = false;  // it has its own way with values that know no noise
  Study study = *Study::create(*Space::create({{.name = "x"}}), options);
  for (int64_t id = 0; id < 11; ++id) {
    const bool whole = id < 10;
    const double fall = modes ? 0.03 : 0.01, end = modes ? 0.9 : 0.95;
    const double top = whole ? 0.84 - fall * std::abs(static_cast<double>(id) - 5) : end;
    const int steps = whole ? kSteps : 3;
    EXPECT_TRUE(study.apply(Asked{id, {whole ? static_cast<double>(id) / 10 : 0.55}, "start"}).ok());
    for (int t = 1; t <= steps; ++t) EXPECT_TRUE(study.apply(Reported{id, t, late(top, t)}).ok());
    EXPECT_TRUE(study.apply(Told{id, {late(top, steps)}, whole ? Told::whole : Told::paused}).ok());
  }
  return study;
}

TEST(AutotuneStopping, APausedTrialThatMayLeadIsFinished) {
  Study study = with_one_paused();
  ASSERT_EQ(study.to_finish(), std::optional<int64_t>(10));
  ASSERT_TRUE(study.apply(Resumed{10}).ok());
  EXPECT_EQ(study.to_finish(), std::nullopt) << "it is under way";
  EXPECT_EQ(study.apply(Reported{10, 3, 0.1}).message(), "[autotune] trial 10: it reports step 3 after step 3");
  for (int t = 4; t <= kSteps; ++t) {
    ASSERT_TRUE(study.apply(Reported{10, t, 0.2}).ok());
    EXPECT_FALSE(*study.should_stop(10)) << "what was resumed runs to its end";
  }
  ASSERT_TRUE(study.apply(Told{10, {0.2}}).ok());
  EXPECT_LT(study.means_at({{0.55}})[0], 0.6) << "the guess was 0.95";
  EXPECT_EQ(study.to_finish(), std::nullopt);
  EXPECT_EQ(study.recommend()->best_observed, 5);
}

TEST(AutotuneStopping, APausedTrialThatPromisesMoreThanANewOneGoesOn) {
  for (const bool modes : {false, true}) {
    const Study study = with_one_paused(modes);
    const Suggestion next = *study.suggest(study.next_trial());
    EXPECT_EQ(next.resumes, std::optional<int64_t>(10));
    EXPECT_EQ(next.point, study.trials()[10].point);
  }
}

TEST(AutotuneStopping, WithModesAGuessGivesWayToTheEndToo) {
  Study study = with_one_paused(true);
  EXPECT_EQ(study.to_finish(), std::optional<int64_t>(10));
  const double guessed = study.means_at({{0.55}})[0];
  EXPECT_GT(guessed, 0.84);
  ASSERT_TRUE(study.apply(Resumed{10}).ok());
  ASSERT_TRUE(study.apply(Told{10, {0.2}}).ok());
  EXPECT_LT(study.means_at({{0.55}})[0], guessed - 0.1);
}

TEST(AutotuneStopping, ResumesWhatIsPausedOnly) {
  Study study = with_one_paused();
  EXPECT_EQ(study.apply(Resumed{77}).message(), "[autotune] trial 77: there is none");
  EXPECT_EQ(study.apply(Resumed{3}).message(), "[autotune] trial 3: it is not paused");
  ASSERT_TRUE(study.apply(Resumed{10}).ok());
  EXPECT_EQ(study.apply(Resumed{10}).message(), "[autotune] trial 10: it is not paused");
}

TEST(AutotuneStopping, NothingGoesOnWhereNothingHasShownHowLongATrialTakes) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5, .startup = 1});
  for (int64_t id = 0; id < 4; ++id) {
    ASSERT_TRUE(study.apply(Asked{id, {0.2 * static_cast<double>(id)}, "start"}).ok());
    ASSERT_TRUE(study.apply(Reported{id, 1, 0.1}).ok());
    ASSERT_TRUE(study.apply(Told{id, {0.1}, Told::paused}).ok());
  }
  EXPECT_FALSE(study.suggest(4)->resumes);
  EXPECT_FALSE(study.to_finish());
}

TEST(AutotuneStopping, OfTwoMeasuredObjectivesNoneIsPaused) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.objectives = {{}, {}}});
  ASSERT_TRUE(study.apply(Asked{0, {0.1}, "test"}).ok());
  ASSERT_TRUE(study.apply(Reported{0, 1, 0.1}).ok());
  EXPECT_EQ(study.apply(Told{0, {0.3, 0.1}, Told::paused}).message(),
            "[autotune] trial 0: of two measured objectives none is paused: what they would end with is not known");
  ASSERT_TRUE(study.apply(Told{0, {0.3, 0.1}}).ok());
  EXPECT_FALSE(study.to_finish());
}

TEST(AutotuneStopping, AResumedTrialThatFailsIsNotRecommended) {
  Study study = *Study::create(*Space::create({{.name = "x"}}), {.seed = 5});
  ASSERT_TRUE(study.apply(Asked{0, {0.1}, "test"}).ok());
  ASSERT_TRUE(study.apply(Told{0, {0.2}, Told::paused}).ok());
  EXPECT_EQ(study.apply(Told{0, {0.2}}).message(), "[autotune] trial 0: it is paused");
  EXPECT_EQ(study.recommend()->trial, 0);
  ASSERT_TRUE(study.apply(Resumed{0}).ok());
  ASSERT_TRUE(study.apply(Failed{0, Failure::oom}).ok());
  EXPECT_FALSE(study.recommend().ok());
  ASSERT_TRUE(study.apply(Asked{1, {0.9}, "test"}).ok());
  ASSERT_TRUE(study.apply(Told{1, {0.1}}).ok());
  EXPECT_EQ(study.recommend()->trial, 1);
}

// Each whole curve tells more of those that ended early.
TEST(AutotuneStopping, GuessesAreMadeAnewAsCurvesEnd) {
  Study study = with_one_paused();
  const double before = study.means_at({{0.55}})[0];
  for (int64_t id = 11; id < 20; ++id) {  // that start as it did, and end low
    ASSERT_TRUE(study.apply(Asked{id, {0.5 + 0.01 * static_cast<double>(id - 11)}, "start"}).ok());
    for (int t = 1; t <= kSteps; ++t) ASSERT_TRUE(study.apply(Reported{id, t, std::min(late(0.95, t), 0.3)}).ok());
    ASSERT_TRUE(study.apply(Told{id, {0.3}}).ok());
  }
  EXPECT_LT(study.means_at({{0.55}})[0], before - 0.1);
}

}  // namespace
}  // namespace ds::autotune

// Sobol indices of functions whose indices are known.
#include <gtest/gtest.h>

#include <cmath>

#include "scheduler/autotune/importance.h"

namespace ds::autotune {
namespace {

constexpr double kPi = 3.141592653589793;

Values each(const std::function<double(const Point&)>& f) {
  return [f](const std::vector<Point>& points) {
    std::vector<double> out;
    for (const Point& p : points) out.push_back(f(p));
    return out;
  };
}

const Importance& of(const std::vector<Importance>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const Importance& i) { return i.name == name; });
}

// Ishigami and Homma (1990): sin x1 + 7 sin^2 x2 + 0.1 x3^4 sin x1 over [-pi, pi]^3.
TEST(Importance, IshigamisIndicesAreThePublishedOnes) {
  const Space space = *Space::create({{.name = "x1"}, {.name = "x2"}, {.name = "x3"}});
  const auto all = importance(space, each([](const Point& p) {
                                const double a = kPi * (2 * p[0] - 1), b = kPi * (2 * p[1] - 1),
                                             c = kPi * (2 * p[2] - 1);
                                return std::sin(a) + 7 * std::sin(b) * std::sin(b) + 0.1 * c * c * c * c * std::sin(a);
                              }),
                              4096);
  EXPECT_EQ(all[0].name, "x1");
  EXPECT_NEAR(of(all, "x1").main, 0.3139, 0.02);
  EXPECT_NEAR(of(all, "x1").total, 0.5576, 0.02);
  EXPECT_NEAR(of(all, "x2").main, 0.4424, 0.02);
  EXPECT_NEAR(of(all, "x2").total, 0.4424, 0.02);
  EXPECT_NEAR(of(all, "x3").main, 0, 0.02);
  EXPECT_NEAR(of(all, "x3").total, 0.2437, 0.02);
}

// A categorical parameter of which three values in four are alike, and an integer that does nothing.
TEST(Importance, DiscreteParametersCountByHowOftenTheyMatter) {
  const Space space = *Space::create({{.name = "c", .kind = Kind::categorical, .choices = {"a", "b", "c", "d"}},
                                      {.name = "n", .kind = Kind::integer, .low = 1, .high = 5},
                                      {.name = "x"}});
  const auto all = importance(space, each([](const Point& p) { return (p[0] == 3 ? 1.0 : 0.0) + p[2]; }), 4096);
  const double of_c = 3.0 / 16, of_x = 1.0 / 12;
  EXPECT_NEAR(of(all, "c").main, of_c / (of_c + of_x), 0.02);
  EXPECT_NEAR(of(all, "x").total, of_x / (of_c + of_x), 0.02);
  EXPECT_NEAR(of(all, "n").total, 0, 1e-12);
}

TEST(Importance, AChildMattersOnlyWhereItIsActive) {
  const Space space = *Space::create({{.name = "kind", .kind = Kind::categorical, .choices = {"plain", "deep"}},
                                      {.name = "depth", .parent = "kind", .when = {"deep"}}});
  const auto all = importance(space, each([](const Point& p) { return p[1] == kInactive ? 0.5 : p[1]; }), 4096);
  EXPECT_NEAR(of(all, "kind").main, 0, 0.02);
  EXPECT_NEAR(of(all, "depth").main, 0.5, 0.03);  // half of its effect there is for the parent to switch off
  EXPECT_NEAR(of(all, "depth").total, 1, 0.03);
}

TEST(Importance, AConstantIsNobodys) {
  const Space space = *Space::create({{.name = "x"}});
  const auto all = importance(space, each([](const Point&) { return 3.0; }));
  EXPECT_EQ(all[0].main, 0);
  EXPECT_EQ(all[0].total, 0);
}

TEST(Importance, AStudysModelFindsWhatItsTrialsShow) {
  Study study = *Study::create(*Space::create({{.name = "idle"}, {.name = "strong"}}), {.seed = 3});
  EXPECT_FALSE(importance(study).ok());
  for (int64_t k = 0; k < 24; ++k) {
    const Suggestion s = *study.suggest(k);
    ASSERT_TRUE(study.apply(Asked{k, s.point, s.source}).ok());
    ASSERT_TRUE(study.apply(Told{k, {-std::pow(s.point[1] - 0.3, 2)}}).ok());
  }
  const auto all = *importance(study);
  EXPECT_EQ(all[0].name, "strong");
  EXPECT_GT(all[0].total, 0.9);
  EXPECT_LT(all[1].total, 0.1);
}

}  // namespace
}  // namespace ds::autotune

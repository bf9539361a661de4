// AutoTune's arithmetic, each piece against an independent way to the same number.
#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "scheduler/autotune/lbfgs.h"
#include "scheduler/autotune/policy.h"
#include "scheduler/autotune/sobol.h"
#include "scheduler/autotune/surrogate.h"

namespace ds::autotune {
namespace {

Space mixed_space() {
  return *Space::create(
      {{.name = "lr", .scale = Scale::log, .low = 1e-4, .high = 1},
       {.name = "units", .kind = Kind::integer, .low = 1, .high = 50},
       {.name = "kind", .kind = Kind::categorical, .choices = {"a", "b", "c"}},
       {.name = "slope", .low = -1, .high = 1, .parent = "kind", .when = {"a", "b"}},
       {.name = "mode", .kind = Kind::categorical, .choices = {"x", "y"}, .parent = "kind", .when = {"c"}},
       {.name = "rate", .scale = Scale::logit, .low = 0.1, .high = 0.9, .parent = "mode", .when = {"y"}},
       {.name = "first", .kind = Kind::categorical, .choices = {"p", "q", "r"}},
       {.name = "second", .kind = Kind::categorical, .choices = {"p", "q", "r"}},
       {.name = "third", .kind = Kind::categorical, .choices = {"p", "q", "r"}, .parent = "kind", .when = {"a"}}});
}

struct Data {
  Space space = mixed_space();
  Kernel kernel{space};
  std::vector<Point> points;
  MatrixXd features;
  VectorXd y, theta;
  explicit Data(int n) {
    Random random(7);
    for (int i = 0; i < n; ++i) points.push_back(space.sample(random));
    features = kernel.layout().encode(space, points);
    y.resize(n);
    for (int i = 0; i < n; ++i) y[i] = random.normal();
    theta = kernel.prior_mean();
    for (auto& t : theta) t += 0.5 * random.normal();
  }
  Gp gp() const { return with(theta); }
  Gp with(const VectorXd& t) const {
    Gp out(&kernel, t);
    out.fit(features, y);
    return out;
  }
};

TEST(AutotuneGp, PredictsAsTheDenseInverseDoes) {
  const Data d(25);
  const Gp gp = d.gp();
  const MatrixXd a = d.kernel.scale(d.theta, d.features), x = a.leftCols(4);
  MatrixXd k = d.kernel.cross(d.theta, a, a);
  k.diagonal().array() += gp.noise();
  const MatrixXd inverse = k.inverse(), cross = d.kernel.cross(d.theta, a, x);
  const Prediction p = gp.predict(d.features.leftCols(4));
  for (int j = 0; j < 4; ++j) {
    EXPECT_NEAR(p.mean[j], cross.col(j).dot(inverse * d.y), 1e-9);
    EXPECT_NEAR(p.variance[j], d.kernel.variance(d.theta, x.col(j)) - cross.col(j).dot(inverse * cross.col(j)), 1e-9);
    EXPECT_NEAR(gp.fitted()[j], p.mean[j], 1e-9);
  }
}

TEST(AutotuneGp, AValueWithNoiseOfItsOwnCountsForAsMuchAsItShould) {
  const Data d(15);
  const VectorXd extra = VectorXd::LinSpaced(15, 0, 2);
  Gp gp(&d.kernel, d.theta);
  gp.fit(d.features.leftCols(14), d.y.head(14), extra.head(14));
  gp.append(d.features.col(14), d.y[14], extra[14]);
  const MatrixXd a = d.kernel.scale(d.theta, d.features), k = d.kernel.cross(d.theta, a, a);
  MatrixXd noisy = k;
  noisy.diagonal().array() += gp.noise() + extra.array();
  const MatrixXd inverse = noisy.inverse();
  const Prediction p = gp.predict(d.features), out = gp.leave_one_out();
  for (int j = 0; j < 15; ++j) {
    EXPECT_NEAR(p.mean[j], k.col(j).dot(inverse * d.y), 1e-9);
    EXPECT_NEAR(gp.fitted()[j], p.mean[j], 1e-9);
    EXPECT_NEAR(out.variance[j], 1 / inverse(j, j), 1e-9);
  }
}

TEST(AutotuneGp, ItsEvidenceHasTheGradientOfFiniteDifferences) {
  const Data d(20);
  VectorXd gradient;
  d.gp().log_posterior(&gradient);
  for (Eigen::Index i = 0; i < d.theta.size(); ++i) {
    VectorXd up = d.theta, down = d.theta;
    up[i] += 1e-5, down[i] -= 1e-5;
    const double expected = (d.with(up).log_posterior(nullptr) - d.with(down).log_posterior(nullptr)) / 2e-5;
    EXPECT_NEAR(gradient[i], expected, 1e-5 * std::max(1.0, std::abs(expected))) << "theta " << i;
  }
}

// Of ten parameters one choice is a tenth of what two points may differ in: before any trial, it must not hide all that
// the nine others say.
TEST(AutotuneKernel, OneCategoryOfManyParametersDoesNotDecideAlone) {
  std::vector<Parameter> parameters(9);
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].name = absl::StrFormat("x%d", i);
  parameters.push_back({.name = "kind", .kind = Kind::categorical, .choices = {"a", "b"}});
  const Space space = *Space::create(parameters);
  const Kernel kernel(space);
  const Point a(10, 0.0);
  Point b = a;
  b.back() = 1;
  const VectorXd& theta = kernel.prior_mean();
  const MatrixXd x = kernel.scale(theta, kernel.layout().encode(space, {a, b}));
  EXPECT_GT(kernel.cross(theta, x, x)(0, 1), 0.7 * kernel.variance(theta, x.col(0)));
}

TEST(AutotuneGp, ARowAppendedIsAFitOfAll) {
  const Data d(20);
  Gp grown(&d.kernel, d.theta);
  grown.fit(d.features.leftCols(15), d.y.head(15));
  for (int i = 15; i < 20; ++i) grown.append(d.features.col(i), d.y[i]);
  EXPECT_LT((grown.predict(d.features).mean - d.gp().predict(d.features).mean).norm(), 1e-9);
  EXPECT_NEAR(grown.log_posterior(nullptr), d.gp().log_posterior(nullptr), 1e-8);
}

TEST(AutotuneGp, LeavingOneOutIsFittingTheOthers) {
  const Data d(12);
  const Prediction all = d.gp().leave_one_out();
  for (int out = 0; out < 12; ++out) {
    MatrixXd x(d.features.rows(), 11);
    VectorXd y(11);
    for (int i = 0, k = 0; i < 12; ++i)
      if (i != out) x.col(k) = d.features.col(i), y[k++] = d.y[i];
    Gp rest(&d.kernel, d.theta);
    rest.fit(x, y);
    const Prediction p = rest.predict(d.features.col(out));
    EXPECT_NEAR(all.mean[out], p.mean[0], 1e-8);
    EXPECT_NEAR(all.variance[out], p.variance[0] + rest.noise(), 1e-8);
  }
}

TEST(AutotuneGp, SlopesAreFiniteDifferences) {
  const Data d(20);
  const Gp gp = d.gp();
  double mean, variance;
  VectorXd mean_slope, variance_slope;
  Random random(3);
  for (int round = 0; round < 10; ++round) {
    const Point at = d.space.sample(random);
    const auto encode = [&](const Point& p) { return MatrixXd(d.kernel.layout().encode(d.space, {p})); };
    gp.predict(VectorXd(encode(at).col(0)), &mean, &variance, &mean_slope, &variance_slope);
    for (const size_t i : {0, 3, 5}) {
      if (at[i] == kInactive) continue;
      Point up = at, down = at;
      up[i] += 1e-6, down[i] -= 1e-6;
      const Prediction a = gp.predict(encode(up)), b = gp.predict(encode(down));
      EXPECT_NEAR(mean_slope[static_cast<long>(i)], (a.mean[0] - b.mean[0]) / 2e-6, 1e-6);
      EXPECT_NEAR(variance_slope[static_cast<long>(i)], (a.variance[0] - b.variance[0]) / 2e-6, 1e-6);
    }
  }
}

TEST(AutotuneKernel, StaysPositiveDefiniteOverBranches) {
  const Data d(60);
  const MatrixXd a = d.kernel.scale(d.theta, d.features), k = d.kernel.cross(d.theta, a, a);
  EXPECT_GT(Eigen::SelfAdjointEigenSolver<MatrixXd>(k).eigenvalues().minCoeff(), -1e-9);
  for (int i = 0; i < 60; ++i) EXPECT_NEAR(k(i, i), d.kernel.variance(d.theta, a.col(i)), 1e-7);
}

TEST(AutotuneKernel, CountsChoicesThatSeveralParametersShare) {
  std::vector<Parameter> cells;
  for (const char* name : {"e1", "e2", "e3", "e4"})
    cells.push_back({.name = name, .kind = Kind::categorical, .choices = {"conv", "skip", "pool"}});
  const Space space = *Space::create(cells);
  const Point own = {0, 0, 1, 1}, same_counts = {1, 1, 0, 0}, other_counts = {1, 1, 2, 2};
  for (const bool counts : {false, true}) {
    const Kernel kernel(space, 3, counts);
    const VectorXd theta = kernel.prior_mean();
    const MatrixXd k = kernel.cross(theta, kernel.scale(theta, kernel.layout().encode(space, {own})),
                                    kernel.scale(theta, kernel.layout().encode(space, {same_counts, other_counts})));
    if (counts)
      EXPECT_GT(k(0, 0), k(0, 1) + 0.1);
    else
      EXPECT_NEAR(k(0, 0), k(0, 1), 1e-12);
  }
}

TEST(AutotuneImprovement, IsTheIntegralAndItsSlopeTheDifference) {
  for (const double z : {-30.0, -24.9, -6.0, -1.01, -0.99, 0.0, 2.0, 8.0}) {
    double sum = 0;  // of (z - t) phi(t) below z, by u = z - t scaled to where the mass is
    const double width = z < -1 ? 40 / -z : 40, h = width / 400000;
    for (int k = 1; k < 400000; ++k) {
      const double u = k * h, t = z - u;
      sum += u * std::exp(-0.5 * (t * t - z * z)) * h;
    }
    const double expected = std::log(sum) - 0.5 * z * z - 0.9189385332046727;
    EXPECT_NEAR(log_improvement(z), expected, 1e-4) << z;
    EXPECT_NEAR(log_improvement_slope(z), (log_improvement(z + 1e-5) - log_improvement(z - 1e-5)) / 2e-5, 2e-3) << z;
  }
}

TEST(AutotuneSurrogate, AveragesTheImprovementWithItsSlope) {
  auto space = std::make_shared<Space>(*Space::create({{.name = "x"}, {.name = "y"}}));
  Surrogate s(space, {}, 5);
  Random random(11);
  for (int i = 0; i < 20; ++i) {
    const Point p = space->sample(random);
    s.add(p, -std::pow(p[0] - 0.3, 2) - std::abs(p[1] - 0.6) + 0.01 * random.normal());
  }
  double total = 0;
  for (const double w : s.weights()) total += w;
  EXPECT_NEAR(total, 1, 1e-12);
  VectorXd slope;
  const Point at = {0.42, 0.17};
  const Surrogate bold = s.with_pending({}, 2, random);
  for (const Surrogate& each : {s, bold}) {
    const double value = each.log_ei(each.encode(at), &slope);
    EXPECT_NEAR(value, each.log_ei(MatrixXd(each.encode(at)))[0], 1e-9);
    for (const size_t i : {0, 1}) {
      Point up = at, down = at;
      up[i] += 1e-6, down[i] -= 1e-6;
      const double expected =
          (each.log_ei(MatrixXd(each.encode(up)))[0] - each.log_ei(MatrixXd(each.encode(down)))[0]) / 2e-6;
      EXPECT_NEAR(slope[static_cast<long>(i)], expected, 1e-4 * std::max(1.0, std::abs(expected)));
    }
  }
  EXPECT_GT(bold.log_ei(MatrixXd(bold.encode(at)))[0], s.log_ei(MatrixXd(s.encode(at)))[0]);
}

// How far a surrogate's chains are from a mode: the least slope of the posterior over its chains, in units of the
// priors.
double least_slope(const Surrogate& s) {
  double out = std::numeric_limits<double>::infinity();
  for (const Surrogate::View& v : s.views()) {
    VectorXd slope;
    v.gp->log_posterior(&slope);
    out = std::min(out, slope.cwiseProduct(s.kernel().prior_sd()).norm());
  }
  return out;
}

TEST(AutotuneSurrogate, OneChainStandsAtTheModeWhileTrialsAreFew) {
  auto space = std::make_shared<Space>(*Space::create({{.name = "x"}, {.name = "y"}, {.name = "z"}}));
  Surrogate with(space, {.warps = {Warp::standard}}, 3), without(space, {.warps = {Warp::standard}, .modes = false}, 3);
  Random random(4);
  for (int i = 0; i < 40; ++i) {
    const Point p = space->sample(random);
    const double value = std::sin(5 * p[0]) + p[1] + 0.1 * random.normal();
    with.add(p, value), without.add(p, value);
    if (i == 20) {
      EXPECT_LT(least_slope(with), 0.1);
      EXPECT_GT(least_slope(without), 0.5);
    }
  }
  EXPECT_GT(least_slope(with), 0.5) << "from many on, all are samples";
}

TEST(AutotuneSurrogate, FindsTheSmoothFunctionUnderTheNoise) {
  auto space = std::make_shared<Space>(*Space::create({{.name = "x"}}));
  Surrogate s(space, {}, 1);
  Random random(2);
  for (int i = 0; i < 60; ++i) {
    const double x = random.uniform();
    s.add({x}, std::sin(6 * x) + 0.2 * random.normal());
  }
  for (const double x : {0.1, 0.3, 0.6, 0.8}) {
    const Prediction p = s.predict(s.encode({x}));
    EXPECT_NEAR(p.mean[0], std::sin(6 * x), 0.2) << x;
    EXPECT_LT(std::sqrt(p.variance[0]), 0.15);
    EXPECT_NEAR(std::sqrt(s.predict(s.encode({x}), true).variance[0]), 0.2, 0.1);
  }
}

TEST(AutotuneWarp, KeepsTheOrderAndSaysItsSlope) {
  VectorXd y(9);
  y << 1, 2, 2.5, 3, 3.1, 3.2, 3.6, 4, -50;
  for (int kind = 0; kind < kWarps; ++kind) {
    const Warped w = warp(static_cast<Warp>(kind), y);
    EXPECT_NEAR(w.values.mean(), 0, 1e-12);
    EXPECT_NEAR(w.values.array().square().mean(), 1, 1e-9);
    for (int i = 0; i < 9; ++i) {
      for (int j = 0; j < 9; ++j) EXPECT_TRUE(y[i] >= y[j] || w.values[i] <= w.values[j]) << i << " " << j;
    }
    // Values of the better half 0.1 apart: the slope is about their difference quotient.
    EXPECT_NEAR((w.values[5] - w.values[4]) / 0.1, std::exp((w.log_slope[4] + w.log_slope[5]) / 2), 0.02) << kind;
  }
}

TEST(AutotuneSobol, ItsFirstPowersOfTwoFillEveryInterval) {
  Sobol sobol(40, 9);
  std::vector<std::vector<int>> counts(40, std::vector<int>(16));
  for (int k = 0; k < 64; ++k) {
    const std::vector<double> u = sobol.next();
    for (size_t d = 0; d < 40; ++d) ++counts[d][static_cast<size_t>(u[d] * 16)];
  }
  for (const auto& c : counts) EXPECT_EQ(c, std::vector<int>(16, 4));
}

TEST(AutotuneClimb, FindsTheTopOfAValleyAndTheEdgeOfTheBox) {
  const Eigen::Vector2d top(0.31, 0.72);
  VectorXd x = VectorXd::Constant(2, 0.9);
  const double value = maximize_in_box(
      [&](const VectorXd& at, VectorXd* g) {
        const double a = at[0] - top[0], b = at[1] - top[1] - a;
        *g = Eigen::Vector2d(-2 * a + 40 * b, -40 * b);
        return -a * a - 20 * b * b;
      },
      x, 60);
  EXPECT_GT(value, -1e-6);
  EXPECT_NEAR(x[0], top[0], 1e-3);
  maximize_in_box([](const VectorXd& at, VectorXd* g) { return *g = Eigen::Vector2d(1, -1), at[0] - at[1]; }, x, 60);
  EXPECT_EQ(x, VectorXd(Eigen::Vector2d(1, 0)));
}

TEST(AutotunePolicy, LearnsWhatIsRewarded) {
  const Space space = mixed_space();
  Policy policy(space, {});
  Random random(4);
  EXPECT_NEAR(policy.probability(2, 1), 1.0 / 3, 1e-12);
  for (int round = 0; round < 20; ++round) {
    std::vector<Point> points;
    for (int k = 0; k < 64; ++k) points.push_back(policy.sample(random));
    VectorXd rewards(64);
    for (int k = 0; k < 64; ++k) {
      EXPECT_TRUE(space.check(points[static_cast<size_t>(k)]).ok());
      const Point& p = points[static_cast<size_t>(k)];
      rewards[k] = (p[2] == 1) * 2.0 - std::abs(p[0] - 0.75);
    }
    policy.learn(points, rewards);
  }
  EXPECT_GT(policy.probability(2, 1), 0.9);
  EXPECT_GT(policy.probability(0, 7), 0.3);
}

}  // namespace
}  // namespace ds::autotune

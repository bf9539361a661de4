// The scalar functions against libm in double: distance in units of the last place, and every special value.
#include <cmath>
#include <functional>

#include "kernels/scalar.h"
#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

double ulp_of(double x) {
  double a = std::fabs(x);
  if (a < 1.1754943508222875e-38) return 1.401298464324817e-45;
  return std::ldexp(1.0, std::ilogb(a) - 23);
}

// The worst distance of f from `exact` over `low..high`, walked in steps of the bit pattern.
double worst(float (*f)(float), double (*exact)(double), float low, float high) {
  double worst = 0;
  auto visit = [&](float x) {
    double want = exact(static_cast<double>(x));
    float got = f(x);
    if (std::isnan(want) || std::fabs(want) > 3.4028234e38) {
      bool same = std::isnan(want) ? std::isnan(got) : static_cast<double>(got) == std::copysign(kInf, want);
      EXPECT_TRUE(same || std::fabs(want) < 3.40282357e38) << "f(" << x << ") = " << got << ", not " << want;
      return;
    }
    double d = std::fabs(static_cast<double>(got) - want) / ulp_of(want);
    if (!(d <= worst)) worst = std::isnan(d) ? kInf : d;
  };
  for (uint32_t u = 0; u < 0x7f800000u; u += 1009) {
    float x = scalar::bit_cast<float>(u);
    if (x >= low && x <= high) visit(x);
    if (-x >= low && -x <= high) visit(-x);
  }
  return worst;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double rsqrt(double x) { return 1 / std::sqrt(x); }

TEST(Scalar, UnitsOfTheLastPlace) {
  constexpr float max = std::numeric_limits<float>::max();
  EXPECT_LE(worst(scalar::exp, std::exp, -110, 100), 1.1);
  EXPECT_LE(worst(scalar::log, std::log, -1, max), 1.5);
  EXPECT_LE(worst(scalar::tanh, std::tanh, -max, max), 2.5);
  EXPECT_LE(worst(scalar::sigmoid<float>, sigmoid, -max, max), 2.5);
  EXPECT_LE(worst(scalar::erf, std::erf, -max, max), 2);
  EXPECT_LE(worst(scalar::sin, std::sin, -max, max), 2);
  EXPECT_LE(worst(scalar::cos, std::cos, -max, max), 2);
  EXPECT_LE(worst(scalar::sqrt, std::sqrt, 0, max), 0.5);
  EXPECT_LE(worst(scalar::rsqrt<float>, rsqrt, 1e-38f, max), 1.5);
}

TEST(Scalar, NearAnglesGiveTheSameBits) {
  for (uint32_t u = 0; u < scalar::bit_cast<uint32_t>(scalar::kNear); u += 997) {
    float x = scalar::bit_cast<float>(u);
    ASSERT_EQ(scalar::bit_cast<uint32_t>(scalar::sin(x)), scalar::bit_cast<uint32_t>(scalar::sin_near(x))) << x;
    ASSERT_EQ(scalar::bit_cast<uint32_t>(scalar::cos(-x)), scalar::bit_cast<uint32_t>(scalar::cos_near(-x))) << x;
  }
}

TEST(Scalar, Pow) {
  std::mt19937 rng(7);
  std::uniform_real_distribution<float> power(-20, 20), base(-45, 45);
  double worst = 0;
  for (int i = 0; i < 2000000; ++i) {
    float x = std::exp2(base(rng)), y = power(rng);
    double want = std::pow(static_cast<double>(x), static_cast<double>(y));
    if (want > 3.4e38) continue;
    worst = std::max(worst, std::fabs(static_cast<double>(scalar::pow(x, y)) - want) / ulp_of(want));
  }
  EXPECT_LE(worst, 1.0);
  constexpr float inf = __builtin_inff(), nan = __builtin_nanf("");
  std::vector<float> special = {0.f, -0.f, 1.f,  -1.f,  2.f, -2.f, 0.5f, -0.5f,
                                3.f, -3.f, 1.5f, -1.5f, inf, -inf, nan,  1e30f};
  for (float x : special) {
    for (float y : special) {
      float want = std::pow(x, y), got = scalar::pow(x, y);
      EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : (got == want && std::signbit(got) == std::signbit(want)))
          << "pow(" << x << ", " << y << ") = " << got << ", not " << want;
    }
  }
}

void expect_special(float (*f)(float), double (*exact)(double), const char* name) {
  constexpr float inf = __builtin_inff();
  for (float x : {0.f, -0.f, inf, -inf, __builtin_nanf(""), 1e-45f, -1e-45f}) {
    auto want = static_cast<float>(exact(static_cast<double>(x)));
    float got = f(x);
    bool same = std::isnan(want) ? std::isnan(got) : std::fabs(got - want) <= 1e-45f || got == want;
    EXPECT_TRUE(same && (std::isnan(want) || std::signbit(got) == std::signbit(want)))
        << name << "(" << x << ") = " << got << ", not " << want;
  }
}

TEST(Scalar, SpecialValues) {
  expect_special(scalar::exp, std::exp, "exp");
  expect_special(scalar::log, std::log, "log");
  expect_special(scalar::tanh, std::tanh, "tanh");
  expect_special(scalar::sigmoid<float>, sigmoid, "sigmoid");
  expect_special(scalar::erf, std::erf, "erf");
  expect_special(scalar::sin, std::sin, "sin");
  expect_special(scalar::cos, std::cos, "cos");
  expect_special(scalar::sqrt, std::sqrt, "sqrt");
  expect_special(scalar::round, std::nearbyint, "round");
  expect_special(scalar::floor, std::floor, "floor");
}

TEST(Scalar, Integers) {
  constexpr int64_t low = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(scalar::div<int64_t>(low, -1), low);
  EXPECT_EQ(scalar::div<int64_t>(7, 0), 0);
  EXPECT_EQ(scalar::div<int32_t>(-7, 2), -3);
  EXPECT_EQ(scalar::neg<uint8_t>(1), 255);
  EXPECT_EQ(scalar::add<int32_t>(std::numeric_limits<int32_t>::max(), 1), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(scalar::pow<int32_t>(3, 5), 243);
  EXPECT_EQ(scalar::pow<int32_t>(-1, -3), -1);
  EXPECT_EQ(scalar::pow<int32_t>(2, -1), 0);
  EXPECT_EQ(scalar::abs<int32_t>(-4), 4);
}

TEST(Scalar, Bf16RoundingIsThatOfTheType) {
  for (uint32_t u = 0; u < 0xffff0000u; u += 4099) {
    float x = scalar::bit_cast<float>(u);
    EXPECT_EQ(scalar::bit_cast<uint32_t>(scalar::round_bf16(x)) >> 16, bfloat16(x).bits) << u;
  }
}

}  // namespace
}  // namespace ds::kernels

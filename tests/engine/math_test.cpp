#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

UNARY_TEST(log1p, -0.9, 9, std::log1p(x), true)
UNARY_TEST(expm1, -5, 5, std::expm1(x), true)
UNARY_TEST(exp2, -9, 9, std::exp2(x), true)
UNARY_TEST(log2, 0.01, 9, std::log2(x), true)
UNARY_TEST(log10, 0.01, 9, std::log10(x), true)
UNARY_TEST(tan, -1.2, 1.2, std::tan(x), true)
UNARY_TEST(asin, -0.95, 0.95, std::asin(x), true)
UNARY_TEST(acos, -0.95, 0.95, std::acos(x), true)
UNARY_TEST(atan, -9, 9, std::atan(x), true)
UNARY_TEST(sinh, -4, 4, std::sinh(x), true)
UNARY_TEST(cosh, -4, 4, std::cosh(x), true)
UNARY_TEST(asinh, -9, 9, std::asinh(x), true)
UNARY_TEST(acosh, 1.1, 9, std::acosh(x), true)
UNARY_TEST(atanh, -0.9, 0.9, std::atanh(x), true)
UNARY_TEST(erfc, -2, 4, std::erfc(x), true)
UNARY_TEST(lgamma, 0.1, 9, std::lgamma(x), true)
UNARY_TEST(i0, -9, 9, std::cyl_bessel_i(0, std::abs(x)), true)
UNARY_TEST(i0e, -40, 40, std::cyl_bessel_i(0, std::abs(x)) * std::exp(-std::abs(x)), true)
UNARY_TEST(i1, -9, 9, std::copysign(std::cyl_bessel_i(1, std::abs(x)), x), true)
UNARY_TEST(i1e, -40, 40, std::copysign(std::cyl_bessel_i(1, std::abs(x)) * std::exp(-std::abs(x)), x), true)
UNARY_TEST(trunc, -9, 9, std::trunc(x), false)
UNARY_TEST(reciprocal, 0.5, 4, 1 / x, true)
UNARY_TEST(sinc, -3, 3, std::sin(M_PI* x) / (M_PI * x), true)
UNARY_TEST(isfinite, -3, 3, 1 + 0 * x, false)

BINARY_TEST(atan2, -2, 2, std::atan2(a, b), true)
BINARY_TEST(hypot, -2, 2, std::hypot(a, b), true)
BINARY_TEST(logaddexp, -9, 9, std::log(std::exp(a) + std::exp(b)), true)
BINARY_TEST(copysign, -2, 2, std::copysign(a, b), false)
BINARY_TEST(xlogy, 0.5, 2, a* std::log(b), true)
BINARY_TEST(fmin, -2, 2, std::min(a, b), true)
BINARY_TEST(fmax, -2, 2, std::max(a, b), true)

TEST(Special, ErfinvInvertsErf) {
  for (DType t : {DType::f32, DType::f64}) {
    Tensor y = tensor({-0.999, -0.5, -1e-5, 0, 0.3, 0.5, 0.99999}, {7}, t);
    expect_near(doubles(erf(erfinv(y))), doubles(y), tolerance(t), name_of(t));
  }
  Tensor ends = erfinv(tensor({1, -1, 2}, {3}, DType::f64));
  EXPECT_EQ(ends.to_vector<double>()[0], INFINITY);
  EXPECT_TRUE(std::isnan(ends.to_vector<double>()[2]));
  check_gradient([](auto& in) { return erfinv(in[0]); }, {{-0.9, -0.2, 0.4, 0.8}}, {{4}});
}

// Known values: digamma(1) is minus Euler's constant, trigamma(1) is pi^2/6, both reflected below 0.
TEST(Special, Polygammas) {
  Tensor x = tensor({1, 0.5, -0.5, 3.25}, {4}, DType::f64);
  expect_near(doubles(digamma(x)), {-0.5772156649015329, -1.9635100260214235, 0.03648997397857652, 1.016990911068179},
              1e-11, "digamma");
  expect_near(doubles(polygamma(1, x)), {M_PI * M_PI / 6, M_PI * M_PI / 2, M_PI * M_PI / 2 + 4, 0.3597982903095798},
              1e-11, "trigamma");
  check_gradient([](auto& in) { return digamma(in[0]); }, {{0.7, 1.5, 4}}, {{3}});
  check_gradient([](auto& in) { return polygamma(1, in[0]); }, {{0.7, 1.5, 4}}, {{3}});
  check_gradient([](auto& in) { return polygamma(3, in[0]); }, {{0.7, 1.5, 4}}, {{3}});
}

TEST(Special, FloatsAreRightOverTheWholeRange) {
  struct Case {
    Tensor (*f)(const Tensor&);
    double (*want)(double);
    std::vector<float> at;
  };
  const std::vector<float> wide = {0.f,     -0.f,    1e-38f, 1e-30f, -1e-10f, 3e-5f,  2.4e-4f,  -2.5e-4f, 0.003f,
                                   0.0039f, 0.01f,   0.03f,  0.1f,   -0.124f, 0.126f, 0.3f,     0.41f,    0.42f,
                                   0.7f,    -0.999f, 1.f,    1.5f,   3.f,     -7.f,   20.f,     -30.f,    88.f,
                                   88.9f,   100.f,   1e6f,   1e20f,  3e38f,   -3e38f, INFINITY, -INFINITY};
  const Case cases[] = {{log1p, std::log1p, wide}, {expm1, std::expm1, wide}, {exp2, std::exp2, wide},
                        {log2, std::log2, wide},   {log10, std::log10, wide}, {asin, std::asin, wide},
                        {acos, std::acos, wide},   {atan, std::atan, wide},   {sinh, std::sinh, wide},
                        {cosh, std::cosh, wide},   {asinh, std::asinh, wide}, {acosh, std::acosh, wide},
                        {atanh, std::atanh, wide}, {erfc, std::erfc, wide},   {lgamma, std::lgamma, wide}};
  int number = 0;
  for (const Case& c : cases) {
    auto got =
        c.f(Tensor::from<float>(std::span<const float>(c.at), {static_cast<int64_t>(c.at.size())})).to_vector<float>();
    for (size_t i = 0; i < c.at.size(); ++i) {
      auto want = static_cast<float>(c.want(c.at[i]));
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got[i])) << number << " at " << c.at[i] << " is " << got[i];
      } else if (std::isinf(want)) {
        EXPECT_EQ(got[i], want) << number << " at " << c.at[i];
      } else {
        float ulp = std::abs(std::nextafter(want, INFINITY) - want);
        EXPECT_LE(std::abs(got[i] - want), 2 * ulp) << number << " at " << c.at[i] << ": " << got[i] << ", " << want;
        EXPECT_EQ(std::signbit(got[i]), std::signbit(want)) << number << " at " << c.at[i];
      }
    }
    ++number;
  }
}

TEST(Special, AnglesOfEveryQuadrantAndTheEdges) {
  const float e[] = {0.f, -0.f, 1.f, -1.f, 3e38f, 1e-40f, INFINITY, -INFINITY};
  std::vector<float> ys, xs;
  for (float y : e)
    for (float x : e) ys.push_back(y), xs.push_back(x);
  auto got = atan2(Tensor::from<float>(std::span<const float>(ys), {64}),
                   Tensor::from<float>(std::span<const float>(xs), {64}))
                 .to_vector<float>();
  for (size_t i = 0; i < 64; ++i) {
    auto want = static_cast<float>(std::atan2(static_cast<double>(ys[i]), static_cast<double>(xs[i])));
    EXPECT_FLOAT_EQ(got[i], want) << ys[i] << " " << xs[i];
    EXPECT_EQ(std::signbit(got[i]), std::signbit(want)) << ys[i] << " " << xs[i];
  }
}

TEST(Special, RemaindersAsPython) {
  Tensor a = Tensor::from<int32_t>({7, -7, 7, -7, 5, INT32_MIN}, {6}),
         b = Tensor::from<int32_t>({3, 3, -3, -3, 0, -1}, {6});
  using V = std::vector<int32_t>;
  EXPECT_EQ(remainder(a, b).to_vector<int32_t>(), (V{1, 2, -2, -1, 0, 0}));
  EXPECT_EQ(floor_divide(a, b).to_vector<int32_t>(), (V{2, -3, -3, 2, 0, INT32_MIN}));
  EXPECT_EQ(fmod(a, b).to_vector<int32_t>(), (V{1, -1, 1, -1, 0, 0}));
  EXPECT_EQ((a / b).to_vector<int32_t>()[4], 0);
  Tensor x = tensor({7.5, -7.5, 7.5, 1, 0.3, -1}, {6}, DType::f64),
         y = tensor({2, 2, -2, 0.1, 0.1, INFINITY}, {6}, DType::f64);
  EXPECT_EQ(floor_divide(x, y).to_vector<double>(), (Doubles{3, -4, -4, 9, 2, -1}));
  EXPECT_EQ(doubles(slice(remainder(x, y), 0, 0, 3)), (Doubles{1.5, 0.5, -0.5}));
  EXPECT_EQ(pow(a, Tensor::from<int32_t>({2, 3, 0, 1, 2, 1}, {6})).to_vector<int32_t>(),
            (V{49, -343, 1, -7, 25, INT32_MIN}));
  check_gradient([](auto& in) { return fmod(in[0], in[1]); }, {{5.3, -4.1}, {2, 1.5}}, {{2}, {2}});
  check_gradient([](auto& in) { return remainder(in[0], in[1]); }, {{5.3, -4.1}, {2, 1.5}}, {{2}, {2}});
}

TEST(Special, Bits) {
  Tensor a = Tensor::from<int32_t>({12, -1, 7}, {3}), b = Tensor::from<int32_t>({10, 3, 40}, {3});
  using V = std::vector<int32_t>;
  EXPECT_EQ(bitwise_and(a, b).to_vector<int32_t>(), (V{8, 3, 0}));
  EXPECT_EQ(bitwise_or(a, b).to_vector<int32_t>(), (V{14, -1, 47}));
  EXPECT_EQ(bitwise_xor(a, b).to_vector<int32_t>(), (V{6, -4, 47}));
  EXPECT_EQ(bitwise_not(a).to_vector<int32_t>(), (V{-13, 0, -8}));
  EXPECT_EQ(bitwise_not(Tensor::from<uint8_t>({1}, {1})).item<uint8_t>(), 254);
  EXPECT_EQ(shift_left(a, b).to_vector<int32_t>(), (V{12 << 10, -8, 0}));
  EXPECT_EQ(shift_right(a, b).to_vector<int32_t>(), (V{0, -1, 0}));
  EXPECT_EQ(doubles(bitwise_and(cast(a, DType::boolean), cast(b, DType::boolean))), (Doubles{1, 1, 1}));
  EXPECT_THROW(bitwise_and(zeros({1}), zeros({1})), Error);
}

TEST(Special, SignsAndNeighbours) {
  Tensor x = tensor({-0.0, 0.0, -2, INFINITY, NAN}, {5}, DType::f32);
  EXPECT_EQ(doubles(signbit(x)), (Doubles{true, false, true, false, false}));
  EXPECT_EQ(doubles(isnan(x)), (Doubles{false, false, false, false, true}));
  EXPECT_EQ(doubles(isinf(x)), (Doubles{false, false, false, true, false}));
  EXPECT_EQ(nextafter(tensor({1, 0, -1}, {3}, DType::f32), scalar(9)).to_vector<float>(),
            (std::vector<float>{std::nextafter(1.f, 9.f), std::nextafter(0.f, 9.f), std::nextafter(-1.f, 9.f)}));
  EXPECT_EQ(doubles(fmax(x, scalar(1)))[4], 1);
  check_gradient([](auto& in) { return copysign(in[0], scalar(-1, DType::f64)); }, {{0.5, -0.2}}, {{2}});
  EXPECT_EQ(doubles(logaddexp(scalar(-INFINITY), scalar(-INFINITY)))[0], -INFINITY);
  EXPECT_EQ(doubles(xlogy(scalar(0), scalar(0)))[0], 0);
}

}  // namespace
}  // namespace ds::test

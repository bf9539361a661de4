#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

UNARY_TEST(neg, -2, 2, -x, true)
UNARY_TEST(abs, -2, 2, std::abs(x), true)
UNARY_TEST(sign, -2, 2, (x > 0) - (x < 0), false)
UNARY_TEST(exp, -20, 5, std::exp(x), true)
UNARY_TEST(log, 0.01, 9, std::log(x), true)
UNARY_TEST(sqrt, 0.1, 9, std::sqrt(x), true)
UNARY_TEST(rsqrt, 0.1, 9, 1 / std::sqrt(x), true)
UNARY_TEST(sin, -6, 6, std::sin(x), true)
UNARY_TEST(cos, -6, 6, std::cos(x), true)
UNARY_TEST(tanh, -4, 4, std::tanh(x), true)
UNARY_TEST(sigmoid, -9, 9, 1 / (1 + std::exp(-x)), true)
UNARY_TEST(relu, -2, 2, std::max(x, 0.0), true)
UNARY_TEST(erf, -3, 3, std::erf(x), true)
UNARY_TEST(floor, -9, 9, std::floor(x), false)
UNARY_TEST(ceil, -9, 9, std::ceil(x), false)
UNARY_TEST(round, -9, 9, std::nearbyint(x), false)
UNARY_TEST(gelu, -4, 4, x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))), true)
UNARY_TEST(silu, -4, 4, x / (1 + std::exp(-x)), true)
UNARY_TEST(square, -4, 4, x* x, true)

BINARY_TEST(add, -2, 2, a + b, true)
BINARY_TEST(sub, -2, 2, a - b, true)
BINARY_TEST(mul, -2, 2, a* b, true)
BINARY_TEST(div, 0.5, 2, a / b, true)
BINARY_TEST(pow, 0.5, 2, std::pow(a, b), true)
BINARY_TEST(maximum, -2, 2, std::max(a, b), true)
BINARY_TEST(minimum, -2, 2, std::min(a, b), true)
BINARY_TEST(less, -2, 2, a < b, false)
BINARY_TEST(less_equal, -2, 2, a <= b, false)
BINARY_TEST(equal, -2, 2, a == b, false)
BINARY_TEST(not_equal, -2, 2, a != b, false)

TEST(Elementwise, BroadcastsAndItsGradientSums) {
  check_op([](auto& in) { return in[0] * in[1] + in[2]; }, {{{3, 4}}, {{4}}, {{3, 1}}},
           [](auto& in) {
             Doubles out;
             for (int i = 0; i < 3; ++i)
               for (int j = 0; j < 4; ++j) out.push_back(in[0][i * 4 + j] * in[1][j] + in[2][i]);
             return out;
           });
}

TEST(Elementwise, WhereChoosesAndSplitsTheGradient) {
  check_op([](auto& in) { return where(less(in[0], in[1]), in[0], in[1] * 2.0); }, {{{5, 3}}, {{5, 3}}},
           [](auto& in) {
             Doubles out;
             for (size_t i = 0; i < in[0].size(); ++i) out.push_back(in[0][i] < in[1][i] ? in[0][i] : in[1][i] * 2);
             return out;
           });
}

TEST(Elementwise, PromotesDtypes) {
  Tensor i = Tensor::from<int32_t>({1, 2, 3}, {3}), u = Tensor::from<uint8_t>({250, 2, 3}, {3});
  EXPECT_EQ((i + u).dtype(), DType::i32);
  EXPECT_EQ((i + u).to_vector<int32_t>(), (std::vector<int32_t>{251, 4, 6}));
  EXPECT_EQ((i * 1.0).dtype(), DType::i32);
  EXPECT_EQ((i * 0.5).dtype(), DType::f32) << "half of an integer is not 0";
  EXPECT_EQ((Tensor::from<int64_t>({1, 3}, {2}) * 0.5).to_vector<float>(), (std::vector<float>{0.5, 1.5}));
  EXPECT_EQ((cast(i, DType::boolean) * 3.0).dtype(), DType::i64);
  EXPECT_EQ((i + Tensor::from<float>({0.5f}, {1})).to_vector<float>(), (std::vector<float>{1.5f, 2.5f, 3.5f}));
}

TEST(Elementwise, PropagatesNaN) {
  Tensor x = Tensor::from<float>({NAN, 1.0f}, {2}), y = Tensor::from<float>({0.0f, NAN}, {2});
  for (Tensor z : {maximum(x, y), minimum(x, y)})
    for (float v : z.to_vector<float>()) EXPECT_TRUE(std::isnan(v));
  EXPECT_TRUE(std::isnan(relu(x).to_vector<float>()[0]));
}

TEST(Elementwise, TheSlopeOfAPowerAtZero) {
  Tensor x = Tensor::from<double>({0, 0, 0, 2}, {4}).set_requires_grad(true);
  Tensor y = sum(pow(x, Tensor::from<double>({0, 1, 2, 3}, {4})));
  EXPECT_EQ(grad(y, {&x, 1})[0].to_vector<double>(), (Doubles{0, 1, 0, 12}));
}

TEST(Elementwise, TheSlopeOfAPowerByItsExponent) {
  Tensor x = Tensor::from<double>({0, 1, -1, 2}, {4}).set_requires_grad(true);
  const auto slopes = [&](double base) {
    return grad(sum(pow(full({4}, base, DType::f64), x)), {&x, 1})[0].to_vector<double>();
  };
  const Doubles of_zero = slopes(0), of_two = slopes(2);
  EXPECT_EQ(Doubles(of_zero.begin(), of_zero.begin() + 2), (Doubles{0, 0}));
  EXPECT_EQ(of_zero[2], -INFINITY);  // 0 to a negative power is infinite, and grows the more negative it is
  EXPECT_NEAR(of_two[3], 4 * std::log(2.0), 1e-12);
  for (const double s : slopes(-3)) EXPECT_TRUE(std::isnan(s));
}

TEST(Elementwise, CastsAsC) {
  Tensor x = Tensor::from<float>({-1.9f, 0.0f, 2.5f}, {3});
  EXPECT_EQ(cast(x, DType::i64).to_vector<int64_t>(), (std::vector<int64_t>{-1, 0, 2}));
  EXPECT_EQ(sum(cast(x, DType::boolean)).item<int64_t>(), 2);
}

TEST(Elementwise, ErrorsNameTheOpAndTheShapes) {
  Tensor a = zeros({2, 3}), b = zeros({4});
  try {
    add(a, b);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[add] shapes do not broadcast: got (2,3) and (4,)");
  }
  EXPECT_THROW(exp(cast(a, DType::i64)), Error);
}

TEST(Elementwise, LongChainsAreOneProgramAndKeepTheirBits) {
  Tensor x = tensor(numbers(5000, -2, 2, 3), {50, 100}, DType::f32).eval();
  auto chain = [&] {
    Tensor y = x;
    for (int i = 0; i < 12; ++i) y = tanh(y * 1.1 + 0.1) - sigmoid(y) * y;
    return y;
  };
  check_modes(chain);
  auto before = executor_stats();
  chain().eval();
  auto after = executor_stats();
  EXPECT_LT(after.steps - before.steps, (after.nodes - before.nodes) / 2);
}

}  // namespace
}  // namespace ds::test

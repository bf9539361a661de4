#include "kernels/scalar.h"
#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

// The known answers of the Random123 distribution for philox4x32-10.
TEST(Random, PhiloxKnownAnswers) {
  scalar::Words zero = scalar::philox(0, 0);
  EXPECT_EQ(zero.w[0], 0x6627e8d5u);
  EXPECT_EQ(zero.w[1], 0xe169c58du);
  EXPECT_EQ(zero.w[2], 0xbc57ac4cu);
  EXPECT_EQ(zero.w[3], 0x9b00dbd8u);
}

TEST(Random, BitsAreTheStream) {
  for (size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{50001}}) {
    Philox p{0x123456789abcdefull, 0xfffffffeull};
    auto out = on_threads([&](Context& ctx) {
      Array r(DType::i32, n);
      cpu().random_bits(ctx, static_cast<uint32_t*>(r.data()), static_cast<int64_t>(n), p);
      return std::vector<Array>{r};
    });
    auto* bits = static_cast<const uint32_t*>(out[0].data());
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(bits[i], scalar::philox(p.seed, p.offset + i / 4).w[i % 4]) << i;
  }
}

TEST(Random, UniformAndNormalMoments) {
  for (DType type : kFloats) {
    constexpr size_t n = 200001;
    auto out = on_threads([&](Context& ctx) {
      std::vector<Array> r{Array(type, n), Array(type, n)};
      cpu().random_uniform(ctx, type, r[0].data(), n, {5, 7});
      cpu().random_normal(ctx, type, r[1].data(), n, {5, 7});
      return r;
    });
    double mean = 0, square = 0, normal_mean = 0, normal_square = 0;
    for (size_t i = 0; i < n; ++i) {
      double u = out[0][i], z = out[1][i];
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      ASSERT_TRUE(std::isfinite(z));
      mean += u / n;
      square += u * u / n;
      normal_mean += z / n;
      normal_square += z * z / n;
    }
    double step = type == DType::bf16 ? 1.0 / 256 : type == DType::f16 ? 1.0 / 2048 : 0;
    EXPECT_NEAR(mean, 0.5 - step / 2, 0.003) << name_of(type);
    EXPECT_NEAR(square - mean * mean, 1.0 / 12, 0.002);
    EXPECT_NEAR(normal_mean, 0, 0.01);
    EXPECT_NEAR(normal_square, 1, 0.02);
  }
}

// The layout that every backend must keep.
TEST(Random, ElementsComeFromTheirWords) {
  TestContext ctx(1);
  Array u(DType::f32, 10), d(DType::f64, 10), z(DType::f32, 10);
  cpu().random_uniform(ctx, DType::f32, u.data(), 10, {9, 3});
  cpu().random_uniform(ctx, DType::f64, d.data(), 10, {9, 3});
  cpu().random_normal(ctx, DType::f32, z.data(), 10, {9, 3});
  auto word = [](size_t i) { return scalar::philox(9, 3 + i / 4).w[i % 4]; };
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(u[i], static_cast<double>(scalar::uniform_f32(word(i))));
    EXPECT_EQ(d[i], scalar::uniform_f64(word(2 * i), word(2 * i + 1)));
    size_t pair = i / 2 * 2;
    double r = std::sqrt(-2 * std::log(1 - u[pair])), a = 2 * M_PI * u[pair + 1];
    EXPECT_NEAR(z[i], r * (i % 2 ? std::sin(a) : std::cos(a)), 1e-5);
  }
}

TEST(Random, RefusesIntegers) {
  TestContext ctx(1);
  EXPECT_THROW(cpu().random_normal(ctx, DType::i32, nullptr, 1, {1, 1}), NotSupported);
}

}  // namespace
}  // namespace ds::kernels

#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

struct Shape {
  int64_t outer, middle, inner;
};
const std::vector<Shape> kShapes = {{1, 1, 1},     {3, 7, 1},    {5, 100, 1},  {2, 20000, 1}, {64, 33, 1},
                                    {1, 70000, 1}, {1, 128, 10}, {1, 700, 33}, {2, 300, 520}, {3, 5, 70},
                                    {1, 70000, 3}, {0, 4, 2},    {4, 3, 0},    {3, 0, 1},     {2, 0, 5}};

double identity(Reduce op) {
  if (op == Reduce::sum || op == Reduce::any) return 0;
  if (op == Reduce::prod || op == Reduce::all) return 1;
  return op == Reduce::max ? -kInf : kInf;
}

double combine(Reduce op, double a, double b) {
  switch (op) {
    case Reduce::sum:
      return a + b;
    case Reduce::prod:
      return a * b;
    case Reduce::max:
      return std::max(a, b);
    case Reduce::min:
      return std::min(a, b);
    case Reduce::any:
      return a != 0 || b != 0;
    default:
      return a != 0 && b != 0;
  }
}

void check(Reduce op, DType type, const Shape& s) {
  bool truth = op == Reduce::any || op == Reduce::all;
  if (type == DType::boolean && !truth) return;
  if (is_complex(type) && (op == Reduce::max || op == Reduce::min)) return;
  if (s.middle == 0 && (op == Reduce::max || op == Reduce::min) && !is_floating(type)) return;
  Array in = random_array(type, s.outer * s.middle * s.inner, 1);
  for (size_t i = 0; i < in.size() && op == Reduce::prod; ++i) in.set(i, i % 1000 == 3 ? 2 : 1);
  for (size_t i = 0; i < in.size() && op == Reduce::any; ++i) in.set(i, i % 701 == 3);
  for (size_t i = 0; i < in.size() && op == Reduce::all; ++i) in.set(i, i % 701 != 3);
  auto out = on_threads([&](Context& ctx) {
    Array r(truth ? DType::boolean : type, at(s.outer * s.inner));
    cpu().reduce(ctx, op, type, r.data(), in.data(), s.outer, s.middle, s.inner);
    return std::vector<Array>{r};
  });
  std::vector<double> want(at(s.outer * s.inner));
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t j = 0; j < s.inner; ++j) {
      double v = identity(op);
      for (int64_t m = 0; m < s.middle; ++m) v = combine(op, v, in[at((o * s.middle + m) * s.inner + j)]);
      bool small = size_of(type) < 4;  // wraps around, or is rounded in the end
      want[at(o * s.inner + j)] = small && !truth ? stored(type, v) : v;
    }
  }
  if (op == Reduce::prod && s.middle > 20000) return;  // beyond every type
  expect_near(out[0], want, 3 * std::sqrt(std::max<double>(1, static_cast<double>(s.middle)) / 8 + 1),
              "reduce " + std::to_string(static_cast<int>(op)) + " of " + name_of(type) + " " +
                  std::to_string(s.outer) + "," + std::to_string(s.middle) + "," + std::to_string(s.inner));
}

TEST(Reduce, EveryOpTypeAndShape) {
  for (Reduce op : {Reduce::sum, Reduce::max, Reduce::min, Reduce::prod, Reduce::any, Reduce::all}) {
    for (DType type : kAllTypes) {
      for (const Shape& s : kShapes) check(op, type, s);
    }
  }
}

TEST(Reduce, ComplexSumsAndProducts) {
  for (DType type : {DType::c64, DType::c128}) {
    for (const Shape& s : {Shape{3, 7, 1}, Shape{2, 300, 5}, Shape{1, 20, 70}, Shape{2, 0, 3}}) {
      Array in = random_complex_array(type, s.outer * s.middle * s.inner, 1, 0.7, 0.8);
      auto out = on_threads([&](Context& ctx) {
        std::vector<Array> r(2, Array(type, at(s.outer * s.inner)));
        cpu().reduce(ctx, Reduce::sum, type, r[0].data(), in.data(), s.outer, s.middle, s.inner);
        cpu().reduce(ctx, Reduce::prod, type, r[1].data(), in.data(), s.outer, s.middle, s.inner);
        return r;
      });
      for (int64_t t = 0; t < s.outer * s.inner; ++t) {
        std::complex<double> sum = 0, product = 1;
        for (int64_t m = 0; m < s.middle; ++m) {
          std::complex<double> z = in.complex(at((t / s.inner * s.middle + m) * s.inner + t % s.inner));
          sum += z;
          product *= z;
        }
        EXPECT_LE(std::abs(out[0].complex(at(t)) - sum), tolerance(type) * (1 + std::abs(sum)));
        EXPECT_LE(std::abs(out[1].complex(at(t)) - product), 20 * tolerance(type) * (1 + std::abs(product)));
      }
    }
  }
}

TEST(Reduce, ComplexNumbersHaveNoOrder) {
  TestContext ctx(1);
  Array in(DType::c64, 4), out(DType::c64, 1);
  EXPECT_THROW(cpu().reduce(ctx, Reduce::max, DType::c64, out.data(), in.data(), 1, 4, 1), NotSupported);
  EXPECT_THROW(cpu().arg_reduce(ctx, ArgReduce::argmax, DType::c64, nullptr, in.data(), 1, 4, 1), NotSupported);
}

TEST(Reduce, BoolSumIsOrAndProductIsAnd) {
  TestContext ctx(1);
  Array in(DType::boolean, {0, 1, 1, 1, 0, 0}), out(DType::boolean, 3);
  cpu().reduce(ctx, Reduce::sum, DType::boolean, out.data(), in.data(), 3, 2, 1);
  expect_near(out, {1, 1, 0}, 0, "sum");
  cpu().reduce(ctx, Reduce::prod, DType::boolean, out.data(), in.data(), 3, 2, 1);
  expect_near(out, {0, 1, 0}, 0, "prod");
}

TEST(Reduce, NanPropagates) {
  TestContext ctx(2);
  for (int64_t place : {0, 5, 31, 32, 99}) {
    std::vector<double> v(100, 1);
    v[at(place)] = kNan;
    for (DType type : kFloats) {
      Array in(type, v), out(type, 1);
      for (Reduce op : {Reduce::sum, Reduce::max, Reduce::min, Reduce::prod}) {
        cpu().reduce(ctx, op, type, out.data(), in.data(), 1, 100, 1);
        EXPECT_TRUE(std::isnan(out[0])) << static_cast<int>(op) << " at " << place;
      }
      Array columns(type, 2);
      cpu().reduce(ctx, Reduce::max, type, columns.data(), in.data(), 1, 50, 2);
      EXPECT_TRUE(std::isnan(columns[at(place % 2)]));
      EXPECT_EQ(columns[at(1 - place % 2)], 1);
    }
  }
}

TEST(ArgReduce, FirstOfTheExtremes) {
  for (ArgReduce op : {ArgReduce::argmax, ArgReduce::argmin}) {
    for (DType type : ordered_types()) {
      for (const Shape& s : {Shape{1, 1, 1}, Shape{5, 100, 1}, Shape{3, 40, 7}, Shape{2, 20000, 1}, Shape{0, 3, 1}}) {
        Array in = random_array(type, s.outer * s.middle * s.inner, 4);
        auto out = on_threads([&](Context& ctx) {
          Array r(DType::i64, at(s.outer * s.inner));
          cpu().arg_reduce(ctx, op, type, static_cast<int64_t*>(r.data()), in.data(), s.outer, s.middle, s.inner);
          return std::vector<Array>{r};
        });
        for (int64_t i = 0; i < s.outer * s.inner; ++i) {
          auto value = [&](int64_t m) { return in[at((i / s.inner * s.middle + m) * s.inner + i % s.inner)]; };
          int64_t best = 0;
          for (int64_t m = 1; m < s.middle; ++m) {
            if (op == ArgReduce::argmax ? value(m) > value(best) : value(m) < value(best)) best = m;
          }
          ASSERT_EQ(out[0][at(i)], static_cast<double>(best)) << name_of(type);
        }
      }
    }
  }
}

TEST(ArgReduce, NanWins) {
  TestContext ctx(1);
  Array in(DType::f32, {3, kNan, 5, kNan}), out(DType::i64, 2);
  auto* r = static_cast<int64_t*>(out.data());
  cpu().arg_reduce(ctx, ArgReduce::argmax, DType::f32, r, in.data(), 1, 4, 1);
  EXPECT_EQ(r[0], 1);
  cpu().arg_reduce(ctx, ArgReduce::argmin, DType::f32, r, in.data(), 1, 2, 2);
  EXPECT_EQ(r[0], 0);
  EXPECT_EQ(r[1], 0);
}

}  // namespace
}  // namespace ds::kernels

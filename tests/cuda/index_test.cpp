#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

Array indices(int64_t n, int64_t size, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<int64_t> v(static_cast<size_t>(n));
  for (int64_t& i : v) i = static_cast<int64_t>(rng() % static_cast<unsigned>(2 * size)) - size;
  return int_array(v);
}

struct Case {
  int64_t outer, size, count, inner;
};
// Fewer rows than positions and more; several tiles of positions; several blocks of columns; scalars.
const Case kCases[] = {{2, 5, 9, 3}, {1, 4, 700, 2}, {1, 350, 300, 1}, {2, 90, 20, 3}, {2, 3, 6, 1100}, {1, 1, 1, 1}};

TEST(CudaIndex, TakePutGatherScatterHaveTheCpusBits) {
  for (DType type : kAllTypes) {
    for (const Case& c : kCases) {
      if (c.count >= 300 && type != DType::f32 && type != DType::bf16) continue;  // the same code, many blocks
      int64_t full = c.outer * c.size * c.inner, taken = c.outer * c.count * c.inner;
      Array x = random_array(type, full, 1), g = random_array(type, taken, 2);
      Array index = indices(c.count, c.size, 3), each = indices(taken, c.size, 4);
      expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
        auto f = static_cast<size_t>(full), n = static_cast<size_t>(taken);
        std::vector<Array> out{Array(type, n), Array(type, f), Array(type, n), Array(type, f)};
        t.take(ctx, type, out[0].data(), x.data(), ints(index), c.outer, c.size, c.count, c.inner);
        t.put_add(ctx, type, out[1].data(), g.data(), ints(index), c.outer, c.size, c.count, c.inner);
        t.gather(ctx, type, out[2].data(), x.data(), ints(each), c.outer, c.size, c.count, c.inner);
        t.scatter_add(ctx, type, out[3].data(), g.data(), ints(each), c.outer, c.size, c.count, c.inner);
        return out;
      });
    }
  }
}

TEST(CudaIndex, OutOfRangeReadsZeroAndWritesNothing) {
  Array x(DType::f32, {1, 2, 3}), index = int_array({2, 3, -4, -3});
  std::vector<Array> out = emulate([&](const Table& t, Context& ctx) {
    std::vector<Array> y{Array(DType::f32, 4), Array(DType::f32, 3), Array(DType::f32, 5), Array(DType::f32, 3)};
    Array ones(DType::f32, {1, 10, 100, 1000});
    t.take(ctx, DType::f32, y[0].data(), x.data(), ints(index), 1, 3, 4, 1);
    t.put_add(ctx, DType::f32, y[1].data(), ones.data(), ints(index), 1, 3, 4, 1);
    t.put_add(ctx, DType::f32, y[2].data(), ones.data(), ints(index), 1, 5, 4, 1);
    t.scatter_add(ctx, DType::f32, y[3].data(), ones.data(), ints(index), 1, 3, 4, 1);
    return y;
  });
  expect_near(out[0], {3, 0, 0, 1}, 1, "take");
  expect_near(out[1], {1000, 0, 1}, 1, "put_add by row");
  expect_near(out[2], {0, 100, 1001, 10, 0}, 1, "put_add by position");
  expect_near(out[3], {1000, 0, 1}, 1, "scatter_add");
}

TEST(CudaRandom, TheCpusBits) {
  for (int64_t n : {1, 6, 3001}) {
    auto size = static_cast<size_t>(n);
    Philox p{0x123456789abcdef0, 77};
    for (DType type : kFloats) {
      expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, size), Array(type, size), Array(DType::i32, size)};
        t.random_uniform(ctx, type, out[0].data(), n, p);
        t.random_normal(ctx, type, out[1].data(), n, p);
        t.random_bits(ctx, static_cast<uint32_t*>(out[2].data()), n, p);
        return out;
      });
    }
  }
}

}  // namespace
}  // namespace ds::kernels

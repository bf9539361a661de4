#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

struct Shape {
  int64_t outer, size, count, inner;
};
const std::vector<Shape> kShapes = {{1, 5, 7, 1},       {3, 10, 4, 130}, {2, 1, 9, 5},
                                    {1, 1000, 300, 64}, {4, 6, 0, 3},    {0, 3, 2, 2}};

std::vector<int64_t> indices(int64_t n, int64_t size) {
  std::mt19937 rng(3);
  std::vector<int64_t> v(at(n));
  for (auto& i : v) i = static_cast<int64_t>(rng() % (2 * static_cast<uint64_t>(size))) - size;
  return v;
}

TEST(Index, TakeAndItsGradient) {
  for (DType type : kAllTypes) {
    for (const Shape& s : kShapes) {
      std::vector<int64_t> index = indices(s.count, s.size);
      Array in = random_array(type, s.outer * s.size * s.inner, 1),
            g = random_array(type, s.outer * s.count * s.inner, 2);
      if (is_floating(type) && size_of(type) == 2) {  // sums of small integers are exact
        for (size_t i = 0; i < g.size(); ++i) g.set(i, static_cast<double>(i % 2));
      }
      std::vector<double> want(g.size()), back(in.size());
      for (int64_t t = 0; t < s.outer * s.count; ++t) {
        int64_t row = index[at(t % s.count)];
        row = t / s.count * s.size + (row < 0 ? row + s.size : row);
        for (int64_t j = 0; j < s.inner; ++j) {
          want[at(t * s.inner + j)] = in[at(row * s.inner + j)];
          double& b = back[at(row * s.inner + j)];
          b += g[at(t * s.inner + j)];
          if (is_integer(type) && size_of(type) < 4) b = stored(type, b);
          if (type == DType::boolean) b = b != 0;
        }
      }
      auto out = on_threads([&](Context& ctx) {
        std::vector<Array> r{Array(type, g.size()), Array(type, in.size())};
        cpu().take(ctx, type, r[0].data(), in.data(), index.data(), s.outer, s.size, s.count, s.inner);
        cpu().put_add(ctx, type, r[1].data(), g.data(), index.data(), s.outer, s.size, s.count, s.inner);
        return r;
      });
      expect_near(out[0], want, 0, "take");
      expect_near(out[1], back, 8, "put_add");
    }
  }
}

TEST(Index, GatherAndItsGradient) {
  for (DType type : kAllTypes) {
    for (const Shape& s : kShapes) {
      std::vector<int64_t> index = indices(s.outer * s.count * s.inner, s.size);
      Array in = random_array(type, s.outer * s.size * s.inner, 1),
            g = random_array(type, s.outer * s.count * s.inner, 2);
      if (is_floating(type) && size_of(type) == 2) {
        for (size_t i = 0; i < g.size(); ++i) g.set(i, static_cast<double>(i % 2));
      }
      std::vector<double> want(g.size()), back(in.size());
      for (int64_t t = 0; t < s.outer * s.count * s.inner; ++t) {
        int64_t row = index[at(t)] < 0 ? index[at(t)] + s.size : index[at(t)];
        size_t from = at((t / (s.count * s.inner) * s.size + row) * s.inner + t % s.inner);
        want[at(t)] = in[from];
        back[from] += g[at(t)];
        if (is_integer(type) && size_of(type) < 4) back[from] = stored(type, back[from]);
        if (type == DType::boolean) back[from] = back[from] != 0;
      }
      auto out = on_threads([&](Context& ctx) {
        std::vector<Array> r{Array(type, g.size()), Array(type, in.size())};
        cpu().gather(ctx, type, r[0].data(), in.data(), index.data(), s.outer, s.size, s.count, s.inner);
        cpu().scatter_add(ctx, type, r[1].data(), g.data(), index.data(), s.outer, s.size, s.count, s.inner);
        return r;
      });
      expect_near(out[0], want, 0, "gather");
      expect_near(out[1], back, 8, "scatter_add");
    }
  }
}

TEST(Index, OutOfRangeNamesTheIndex) {
  TestContext ctx(2);
  Array in(DType::f32, {1, 2, 3}), out(DType::f32, 2);
  for (int64_t bad : {int64_t{3}, int64_t{-4}}) {
    Array index = int_array({0, bad});
    try {
      cpu().take(ctx, DType::f32, out.data(), in.data(), ints(index), 1, 3, 2, 1);
      FAIL() << "took index " << bad;
    } catch (const std::out_of_range& e) {
      EXPECT_EQ(std::string(e.what()), "[take] index " + std::to_string(bad) + " is out of range for size 3");
    }
    EXPECT_THROW(cpu().put_add(ctx, DType::f32, in.data(), out.data(), ints(index), 1, 3, 2, 1), std::out_of_range);
    EXPECT_THROW(cpu().gather(ctx, DType::f32, out.data(), in.data(), ints(index), 1, 3, 2, 1), std::out_of_range);
    EXPECT_THROW(cpu().scatter_add(ctx, DType::f32, in.data(), out.data(), ints(index), 1, 3, 2, 1), std::out_of_range);
  }
}

}  // namespace
}  // namespace ds::kernels

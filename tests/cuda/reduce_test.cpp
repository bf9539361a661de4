#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

struct Extents {
  int64_t outer, middle, inner;
};
// Warp rows, block rows, rows in parts, columns in one, two and three stages, and nothing at all.
const Extents kExtents[] = {{5, 100, 1},   {3, 700, 1}, {2, 40000, 1}, {3, 17, 5}, {1, 500, 3},
                            {1, 20000, 2}, {2, 0, 1},   {2, 0, 3},     {0, 4, 1}};
constexpr Reduce kAll[] = {Reduce::sum, Reduce::max, Reduce::min, Reduce::prod, Reduce::any, Reduce::all};

TEST(CudaReduce, EveryOperationOfEveryType) {
  for (Reduce op : kAll) {
    for (DType type : kAllTypes) {
      for (const Extents& e : kExtents) {
        if (is_complex(type) && (op == Reduce::max || op == Reduce::min)) continue;
        if (e.middle > 10000 && type != DType::f32 && type != DType::i64 && type != DType::bf16) continue;
        bool product = op == Reduce::prod;
        Array x = random_any_array(type, e.outer * e.middle * e.inner, 3, product ? 0.999 : -2, product ? 1.001 : 2);
        DType result = op == Reduce::any || op == Reduce::all ? DType::boolean : type;
        double scale = 40;  // of sums of 40000 terms about 0, in ulps of 1
        expect_close("reduce " + std::to_string(static_cast<int>(op)) + " of " + name_of(type), scale,
                     [&](const Table& t, Context& ctx) {
                       std::vector<Array> out{Array(result, static_cast<size_t>(e.outer * e.inner))};
                       t.reduce(ctx, op, type, out[0].data(), x.data(), e.outer, e.middle, e.inner);
                       return out;
                     });
      }
    }
  }
}

TEST(CudaReduce, NanGoesThroughMaximum) {
  Array x = random_array(DType::f32, 900, 3);
  x.set(444, kNan);
  std::vector<Array> out = emulate([&](const Table& t, Context& ctx) {
    std::vector<Array> y{Array(DType::f32, 1), Array(DType::f32, 1)};
    t.reduce(ctx, Reduce::max, DType::f32, y[0].data(), x.data(), 1, 900, 1);
    t.reduce(ctx, Reduce::min, DType::f32, y[1].data(), x.data(), 1, 900, 1);
    return y;
  });
  EXPECT_TRUE(std::isnan(out[0][0]) && std::isnan(out[1][0]));
}

TEST(CudaReduce, ArgReduceTakesTheFirstAndNan) {
  for (DType type : ordered_types()) {
    for (const Extents& e : {Extents{4, 100, 1}, Extents{2, 33, 7}, Extents{1, 5, 1}}) {
      Array x = random_array(type, e.outer * e.middle * e.inner, 8);
      for (size_t i = 0; i < x.size(); i += 3) x.set(i, std::floor(x[i]));  // ties
      if (is_floating(type)) {
        x.set(3, kNan);
        x.set(4, kNan);
      }
      for (ArgReduce op : {ArgReduce::argmax, ArgReduce::argmin}) {
        expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
          std::vector<Array> out{Array(DType::i64, static_cast<size_t>(e.outer * e.inner))};
          t.arg_reduce(ctx, op, type, static_cast<int64_t*>(out[0].data()), x.data(), e.outer, e.middle, e.inner);
          return out;
        });
      }
    }
  }
}

}  // namespace
}  // namespace ds::kernels

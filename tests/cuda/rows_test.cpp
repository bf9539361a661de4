#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

DType statistics_of(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

TEST(CudaRows, SoftmaxAndLogSoftmaxWithTheirGradients) {
  for (DType type : kFloats) {
    for (int64_t columns : {1, 10, 33, 1000}) {
      int64_t rows = 3;
      auto n = static_cast<size_t>(rows * columns);
      Array x = random_array(type, rows * columns, 1, -20, 20), dy = random_array(type, rows * columns, 2);
      Array y = random_array(type, rows * columns, 3, -3, 0);
      expect_close(name_of(type), 40, [&](const Table& t, Context& ctx) {
        std::vector<Array> out(4, Array(type, n));
        t.softmax(ctx, type, out[0].data(), x.data(), rows, columns);
        t.log_softmax(ctx, type, out[1].data(), x.data(), rows, columns);
        t.softmax_grad(ctx, type, out[2].data(), dy.data(), y.data(), rows, columns);
        t.log_softmax_grad(ctx, type, out[3].data(), dy.data(), y.data(), rows, columns);
        return out;
      });
    }
  }
}

TEST(CudaRows, CrossEntropyIgnoresTargetsOutOfRange) {
  for (DType type : kFloats) {
    for (int64_t columns : {10, 700}) {
      Array x = random_array(type, 4 * columns, 1, -8, 8), dloss = random_array(type, 4, 2);
      Array target = int_array({3, -1, columns - 1, columns});
      expect_close(name_of(type), 40, [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, 4), Array(type, static_cast<size_t>(4 * columns))};
        t.cross_entropy(ctx, type, out[0].data(), x.data(), ints(target), 4, columns);
        t.cross_entropy_grad(ctx, type, out[1].data(), dloss.data(), x.data(), ints(target), 4, columns);
        return out;
      });
    }
  }
}

TEST(CudaRows, LayerNormAndItsGradient) {
  for (DType type : kFloats) {
    for (int64_t columns : {8, 300, 600}) {
      int64_t rows = 37;  // three parts of the parameters' gradients
      auto n = static_cast<size_t>(rows * columns), c = static_cast<size_t>(columns);
      Array x = random_array(type, rows * columns, 1), dy = random_array(type, rows * columns, 2);
      Array gamma = random_array(type, columns, 3), beta = random_array(type, columns, 4);
      DType s = statistics_of(type);
      expect_close(name_of(type), 60, [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, n),
                               Array(s, static_cast<size_t>(rows)),
                               Array(s, static_cast<size_t>(rows)),
                               Array(type, n),
                               Array(type, c),
                               Array(type, c)};
        t.layer_norm(ctx, type, out[0].data(), out[1].data(), out[2].data(), x.data(), gamma.data(), beta.data(), 1e-5,
                     rows, columns);
        t.layer_norm_grad(ctx, type, out[3].data(), out[4].data(), out[5].data(), dy.data(), x.data(), gamma.data(),
                          out[1].data(), out[2].data(), rows, columns);
        return out;
      });
    }
  }
}

}  // namespace
}  // namespace ds::kernels

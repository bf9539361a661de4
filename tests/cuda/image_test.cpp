#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

Conv2d conv(int64_t n, int64_t c, int64_t h, int64_t w, int64_t o, int64_t kh, int64_t kw, int64_t stride, int64_t pad,
            int64_t dilation, int64_t groups) {
  int64_t oh = (h + 2 * pad - dilation * (kh - 1) - 1) / stride + 1,
          ow = (w + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
  return {DType::f32, n, c, h, w, o, kh, kw, oh, ow, stride, stride, pad, pad, dilation, dilation, groups};
}

const Conv2d kConvs[] = {conv(2, 3, 9, 8, 4, 3, 3, 1, 1, 1, 1),  conv(1, 4, 7, 7, 6, 3, 2, 2, 0, 1, 2),
                         conv(2, 2, 11, 9, 2, 3, 3, 1, 2, 2, 1), conv(1, 6, 5, 5, 6, 3, 3, 1, 1, 1, 6),
                         conv(3, 5, 6, 6, 70, 1, 1, 1, 0, 1, 1), conv(1, 3, 12, 12, 5, 5, 5, 3, 2, 1, 1),
                         conv(2, 1, 28, 28, 6, 5, 5, 1, 2, 1, 1)};

TEST(CudaConv, ForwardAndBothGradients) {
  for (Conv2d c : kConvs) {
    for (DType type : {DType::f32, DType::f64}) {
      c.type = type;
      int64_t xs = c.n * c.c * c.h * c.w, ys = c.n * c.o * c.oh * c.ow, ws = c.o * c.c / c.groups * c.kh * c.kw;
      Array x = random_array(type, xs, 1), w = random_array(type, ws, 2), dy = random_array(type, ys, 3);
      Array bias = random_array(type, c.o, 4);
      expect_close("conv2d", 60, [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, static_cast<size_t>(ys)), Array(type, static_cast<size_t>(ys)),
                               Array(type, static_cast<size_t>(xs)), Array(type, static_cast<size_t>(ws))};
        t.conv2d(ctx, c, out[0].data(), x.data(), w.data(), nullptr, false);
        t.conv2d(ctx, c, out[1].data(), x.data(), w.data(), bias.data(), true);
        t.conv2d_grad_input(ctx, c, out[2].data(), dy.data(), w.data());
        t.conv2d_grad_weight(ctx, c, out[3].data(), dy.data(), x.data());
        return out;
      });
    }
  }
}

TEST(CudaConv, RefusesWhatIndicesCannotCount) {
  TestContext ctx(1);
  Conv2d c = conv(1 << 20, 1, 64, 64, 1, 1, 1, 1, 0, 1, 1);
  EXPECT_THROW(cuda().conv2d(ctx, c, nullptr, nullptr, nullptr, nullptr, false), NotSupported);
  c.type = DType::i32;
  EXPECT_THROW(cuda().conv2d_grad_input(ctx, c, nullptr, nullptr, nullptr), NotSupported);
}

Pool2d pool(int64_t h, int64_t w, int64_t k, int64_t stride, int64_t pad) {
  return {DType::f32, 2,      3,      h,   w,  (h + 2 * pad - k) / stride + 1, (w + 2 * pad - k) / stride + 1, k,
          k,          stride, stride, pad, pad};
}

TEST(CudaPool, MaximumAndAverageWithTheirGradients) {
  for (Pool2d p : {pool(8, 6, 2, 2, 0), pool(9, 7, 3, 2, 1), pool(6, 6, 3, 1, 1), pool(10, 5, 2, 3, 0)}) {
    for (DType type : kFloats) {
      p.type = type;
      auto xs = static_cast<size_t>(p.n * p.c * p.h * p.w), ys = static_cast<size_t>(p.n * p.c * p.oh * p.ow);
      Array x = random_array(type, static_cast<int64_t>(xs), 1), dy = random_array(type, static_cast<int64_t>(ys), 2);
      for (size_t i = 0; i < xs; i += 2) x.set(i, std::floor(x[i]));  // ties
      x.set(20, kNan);
      Pool2d positive = p;
      positive.positive = true;
      expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, ys), Array(type, xs), Array(type, ys), Array(type, xs), Array(type, xs)};
        t.max_pool2d_grad(ctx, positive, out[4].data(), dy.data(), x.data());
        t.max_pool2d(ctx, p, out[0].data(), x.data());
        t.max_pool2d_grad(ctx, p, out[1].data(), dy.data(), x.data());
        t.avg_pool2d(ctx, p, out[2].data(), x.data());
        t.avg_pool2d_grad(ctx, p, out[3].data(), dy.data());
        return out;
      });
    }
  }
}

TEST(CudaPool, MaximumOfIntegers) {
  Pool2d p = pool(8, 6, 2, 2, 0);
  for (DType type : {DType::i64, DType::i32, DType::u8}) {
    p.type = type;
    Array x = random_array(type, p.n * p.c * p.h * p.w, 1);
    expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
      std::vector<Array> out{Array(type, static_cast<size_t>(p.n * p.c * p.oh * p.ow))};
      t.max_pool2d(ctx, p, out[0].data(), x.data());
      return out;
    });
  }
}

}  // namespace
}  // namespace ds::kernels

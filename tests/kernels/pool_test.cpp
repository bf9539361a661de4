#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

Pool2d shape(DType type, int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t stride, int64_t pad) {
  return {type, n,      c,      h,   w,  (h + 2 * pad - k) / stride + 1, (w + 2 * pad - k) / stride + 1, k,
          k,    stride, stride, pad, pad};
}

// f(output, input, divisor) for each pair that meets in a window, in row-major order.
template <class F>
void for_pairs(const Pool2d& p, F&& f) {
  for (int64_t plane = 0; plane < p.n * p.c; ++plane) {
    for (int64_t oy = 0; oy < p.oh; ++oy) {
      for (int64_t ox = 0; ox < p.ow; ++ox) {
        for (int64_t y = oy * p.stride_h - p.pad_h; y < oy * p.stride_h - p.pad_h + p.kh; ++y) {
          for (int64_t x = ox * p.stride_w - p.pad_w; x < ox * p.stride_w - p.pad_w + p.kw; ++x) {
            if (y < 0 || x < 0 || y >= p.h || x >= p.w) continue;
            f((plane * p.oh + oy) * p.ow + ox, (plane * p.h + y) * p.w + x);
          }
        }
      }
    }
  }
}

void check(const Pool2d& p, bool coarse) {
  int64_t nx = p.n * p.c * p.h * p.w, ny = p.n * p.c * p.oh * p.ow;
  Array x = random_array(p.type, nx, 1), dy = random_array(p.type, ny, 2);
  for (int64_t i = 0; coarse && i < nx; ++i) x.set(at(i), std::round(x[at(i)]));  // many ties
  if (nx > 20) x.set(13, kNan);
  std::vector<double> max(at(ny), -kInf), avg(at(ny)), dmax(at(nx)), davg(at(nx));
  std::vector<int64_t> arg(at(ny), -1);
  double area = static_cast<double>(p.kh * p.kw);
  for_pairs(p, [&](int64_t o, int64_t i) {
    double v = x[at(i)], best = max[at(o)];
    if (arg[at(o)] < 0 || v > best || (std::isnan(v) && !std::isnan(best))) {
      max[at(o)] = v;
      arg[at(o)] = i;
    }
    avg[at(o)] += v / area;
    davg[at(i)] += dy[at(o)] / area;
  });
  std::vector<double> positive = dmax;
  for (int64_t o = 0; o < ny; ++o) {
    dmax[at(arg[at(o)])] += dy[at(o)];
    if (max[at(o)] > 0) positive[at(arg[at(o)])] += dy[at(o)];
  }
  Pool2d masked = p;
  masked.positive = true;
  auto out = on_threads([&](Context& ctx) {
    std::vector<Array> r{Array(p.type, at(ny)), Array(p.type, at(ny)), Array(p.type, at(nx)), Array(p.type, at(nx)),
                         Array(p.type, at(nx))};
    cpu().max_pool2d(ctx, p, r[0].data(), x.data());
    cpu().avg_pool2d(ctx, p, r[1].data(), x.data());
    cpu().max_pool2d_grad(ctx, p, r[2].data(), dy.data(), x.data());
    cpu().avg_pool2d_grad(ctx, p, r[3].data(), dy.data());
    cpu().max_pool2d_grad(ctx, masked, r[4].data(), dy.data(), x.data());
    return r;
  });
  expect_near(out[4], positive, 2, "max gradient where it is positive");
  expect_near(out[0], max, 0, "max");
  expect_near(out[1], avg, 2, "avg");
  expect_near(out[2], dmax, 2, "max gradient");
  expect_near(out[3], davg, 2, "avg gradient");
}

TEST(Pool2d, EveryTypeAndWindow) {
  for (DType type : kFloats) {
    for (bool coarse : {false, true}) {
      check(shape(type, 2, 3, 28, 28, 2, 2, 0), coarse);
      check(shape(type, 2, 3, 7, 9, 2, 2, 0), coarse);
      check(shape(type, 1, 2, 8, 9, 3, 2, 1), coarse);
      check(shape(type, 1, 5, 6, 6, 3, 1, 1), coarse);
      check(shape(type, 3, 1, 5, 5, 5, 5, 0), coarse);
      check(shape(type, 0, 1, 5, 5, 5, 5, 0), coarse);
    }
  }
}

// PyTorch: what sticks out beyond the padding is not counted by the average's divisor.
TEST(Pool2d, AverageDivisorInCeilMode) {
  TestContext ctx(1);
  Array x(DType::f32, {1, 2, 3}), y(DType::f32, 2), dx(DType::f32, 3), dy(DType::f32, {1, 1});
  Pool2d p{DType::f32, 1, 1, 1, 3, 1, 2, 1, 2, 1, 2, 0, 0};
  cpu().avg_pool2d(ctx, p, y.data(), x.data());
  expect_near(y, {1.5, 3}, 1, "average");
  cpu().avg_pool2d_grad(ctx, p, dx.data(), dy.data());
  expect_near(dx, {0.5, 0.5, 1}, 1, "gradient");
}

}  // namespace
}  // namespace ds::kernels

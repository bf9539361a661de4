#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

Conv2d shape(DType type, int64_t n, int64_t c, int64_t h, int64_t w, int64_t o, int64_t kh, int64_t kw, int64_t stride,
             int64_t pad, int64_t dilation = 1, int64_t groups = 1) {
  int64_t oh = (h + 2 * pad - dilation * (kh - 1) - 1) / stride + 1;
  int64_t ow = (w + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
  return {type, n, c, h, w, o, kh, kw, oh, ow, stride, stride, pad, pad, dilation, dilation, groups};
}

size_t at(int64_t i) { return static_cast<size_t>(i); }

// f(output, input, filter element) for every product of the convolution.
template <class F>
void for_products(const Conv2d& d, F&& f) {
  int64_t cg = d.c / d.groups, og = d.o / d.groups;
  for (int64_t n = 0; n < d.n; ++n) {
    for (int64_t o = 0; o < d.o; ++o) {
      for (int64_t y = 0; y < d.oh; ++y) {
        for (int64_t x = 0; x < d.ow; ++x) {
          for (int64_t c = 0; c < cg; ++c) {
            for (int64_t r = 0; r < d.kh; ++r) {
              for (int64_t s = 0; s < d.kw; ++s) {
                int64_t iy = y * d.stride_h + r * d.dilation_h - d.pad_h,
                        ix = x * d.stride_w + s * d.dilation_w - d.pad_w;
                if (iy < 0 || iy >= d.h || ix < 0 || ix >= d.w) continue;
                f(((n * d.o + o) * d.oh + y) * d.ow + x, ((n * d.c + o / og * cg + c) * d.h + iy) * d.w + ix,
                  ((o * cg + c) * d.kh + r) * d.kw + s);
              }
            }
          }
        }
      }
    }
  }
}

void check(const Conv2d& d) {
  int64_t ny = d.n * d.o * d.oh * d.ow, nx = d.n * d.c * d.h * d.w, nw = d.o * (d.c / d.groups) * d.kh * d.kw;
  Array x = random_array(d.type, nx, 1), w = random_array(d.type, nw, 2), dy = random_array(d.type, ny, 3);
  Array bias = random_array(d.type, d.o, 4);
  std::string what = "c" + std::to_string(d.c) + " h" + std::to_string(d.h) + " o" + std::to_string(d.o) + " k" +
                     std::to_string(d.kh) + "x" + std::to_string(d.kw) + " s" + std::to_string(d.stride_h) + " p" +
                     std::to_string(d.pad_h) + " d" + std::to_string(d.dilation_h) + " g" + std::to_string(d.groups);
  std::vector<double> y(at(ny)), dx(at(nx)), dw(at(nw));
  for_products(d, [&](int64_t o, int64_t i, int64_t f) {
    y[at(o)] += x[at(i)] * w[at(f)];
    dx[at(i)] += dy[at(o)] * w[at(f)];
    dw[at(f)] += dy[at(o)] * x[at(i)];
  });
  std::vector<double> y_relu(at(ny));
  for (int64_t i = 0; i < ny; ++i) y_relu[at(i)] = std::max(0.0, y[at(i)] + bias[at(i / (d.oh * d.ow) % d.o)]);
  auto out = on_threads([&](Context& ctx) {
    std::vector<Array> r{Array(d.type, at(ny)), Array(d.type, at(ny)), Array(d.type, at(nx)), Array(d.type, at(nw))};
    cpu().conv2d(ctx, d, r[0].data(), x.data(), w.data(), nullptr, false);
    cpu().conv2d(ctx, d, r[1].data(), x.data(), w.data(), bias.data(), true);
    cpu().conv2d_grad_input(ctx, d, r[2].data(), dy.data(), w.data());
    cpu().conv2d_grad_weight(ctx, d, r[3].data(), dy.data(), x.data());
    return r;
  });
  double depth = std::sqrt(static_cast<double>(d.c / d.groups * d.kh * d.kw)) * 2;
  expect_near(out[0], y, depth, "forward " + what);
  expect_near(out[1], y_relu, depth, "forward with bias and relu " + what);
  expect_near(out[2], dx, 2 * depth * std::sqrt(static_cast<double>(d.o)), "gradient of input " + what);
  expect_near(out[3], dw, 4 * std::sqrt(static_cast<double>(d.n * d.oh * d.ow)), "gradient of weight " + what);
}

TEST(Conv2d, FashionMnistLayers) {
  check(shape(DType::f32, 3, 1, 28, 28, 32, 3, 3, 1, 1));
  check(shape(DType::f32, 5, 32, 14, 14, 64, 3, 3, 1, 1));
}

TEST(Conv2d, Parameters) {
  for (DType type : {DType::f32, DType::f64}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t pad : {0, 1, 2, 4}) {
        for (int64_t dilation : {1, 2}) check(shape(type, 2, 3, 11, 13, 5, 3, 3, stride, pad, dilation));
      }
      check(shape(type, 2, 4, 9, 8, 6, 1, 1, stride, 0));
      check(shape(type, 1, 4, 9, 10, 6, 2, 5, stride, 1, 1, 2));
      check(shape(type, 2, 6, 7, 7, 6, 3, 3, stride, 1, 1, 6));
      check(shape(type, 1, 1, 5, 5, 1, 5, 5, stride, 0));
      check(shape(type, 1, 2, 17, 19, 3, 4, 3, 2 * stride, 2, 3));
    }
  }
}

TEST(Conv2d, ManyImagesPartsAndChannels) {
  check(shape(DType::f32, 37, 2, 6, 6, 7, 3, 3, 1, 1));
  check(shape(DType::f32, 2, 70, 5, 5, 9, 3, 3, 1, 1));
  check(shape(DType::f64, 19, 35, 4, 4, 3, 3, 3, 2, 1));
}

TEST(Conv2d, LargeImagesInBands) { check(shape(DType::f32, 1, 8, 97, 90, 5, 3, 3, 1, 1)); }

TEST(Conv2d, StridesBeyondTheImage) { check(shape(DType::f32, 1, 2, 1, 600, 3, 2, 1, 1 << 20, 25)); }

TEST(Conv2d, NoImages) { check(shape(DType::f32, 0, 3, 5, 5, 4, 3, 3, 1, 1)); }

TEST(Conv2d, RefusesIntegers) {
  TestContext ctx(1);
  Conv2d d = shape(DType::i32, 1, 1, 3, 3, 1, 3, 3, 1, 1);
  EXPECT_THROW(cpu().conv2d(ctx, d, nullptr, nullptr, nullptr, nullptr, false), NotSupported);
  EXPECT_THROW(cpu().conv2d_grad_input(ctx, d, nullptr, nullptr, nullptr), NotSupported);
  EXPECT_THROW(cpu().conv2d_grad_weight(ctx, d, nullptr, nullptr, nullptr), NotSupported);
}

}  // namespace
}  // namespace ds::kernels

// No bit depends on the width of the vectors: the matrix product and the convolutions over every set this CPU has.
#include "kernels/cpu/vectors.h"

#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

using cpu_detail::Vectors;

class OverVectors : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu_detail::widest_vectors() != Vectors::avx512) GTEST_SKIP() << "this CPU has no AVX-512: there is one width";
  }
  void TearDown() override { cpu_detail::use_vectors(cpu_detail::widest_vectors()); }
};

// make(context) over each set, which must give the same bits; on three threads, so that parts have edges too.
void expect_same(const std::string& what, const std::function<std::vector<Array>(Context&)>& make) {
  TestContext ctx(3);
  cpu_detail::use_vectors(Vectors::avx2);
  std::vector<Array> narrow = make(ctx);
  cpu_detail::use_vectors(Vectors::avx512);
  std::vector<Array> wide = make(ctx);
  for (size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_EQ(narrow[i].bits(), wide[i].bits()) << "output " << i << " of " << what;
    EXPECT_TRUE(wide[i].guard()) << "wrote behind output " << i << " of " << what;
  }
}

struct Extents {
  int64_t m, n, k;
};

void check_products(DType type, const Extents& e, int64_t pad) {
  int64_t m = e.m + pad, n = e.n + pad, k = e.k + pad;
  Array a = random_array(type, m * k, 1), b = random_array(type, k * n, 2), c = random_array(type, m * n, 3);
  Array bias = random_array(type, e.n, 4);
  for (int form = 0; form < 4; ++form) {
    bool ta = (form & 1) != 0, tb = (form & 2) != 0;
    std::string what = std::string(name_of(type)) + " " + std::to_string(e.m) + "x" + std::to_string(e.n) + "x" +
                       std::to_string(e.k) + (ta ? " ta" : "") + (tb ? " tb" : "");
    expect_same(what, [&](Context& ctx) {
      std::vector<Array> out(8, c);
      for (int epilogue = 0; epilogue < 8; ++epilogue) {
        Matmul x{};
        x.type = type;
        x.batch = 1;
        x.m = e.m;
        x.n = e.n;
        x.k = e.k;
        x.a = a.data();
        x.b = b.data();
        x.c = out[static_cast<size_t>(epilogue)].data();
        x.lda = (ta ? e.m : e.k) + pad;
        x.ldb = (tb ? e.k : e.n) + pad;
        x.ldc = e.n + pad;
        x.trans_a = ta;
        x.trans_b = tb;
        x.accumulate = (epilogue & 1) != 0;
        x.bias = (epilogue & 2) != 0 ? bias.data() : nullptr;
        x.relu = (epilogue & 4) != 0;
        cpu().matmul(ctx, x);
      }
      return out;
    });
  }
}

TEST_F(OverVectors, TheWidestIsInUse) { EXPECT_EQ(cpu_detail::vectors_in_use(), Vectors::avx512); }

TEST_F(OverVectors, Matmul) {
  // Edges of both widths, both ways around, one tile, several blocks of k, of rows and of columns.
  const Extents extents[] = {{1, 1, 1},    {3, 10, 5},    {5, 33, 17},   {9, 17, 40},    {13, 49, 700},
                             {33, 65, 31}, {65, 7, 100},  {70, 95, 330}, {10, 256, 128}, {150, 47, 21},
                             {17, 40, 16}, {300, 12, 64}, {4, 1030, 9}};
  for (DType type : kFloats) {
    for (const Extents& e : extents) {
      for (int64_t pad : {0, 3}) check_products(type, e, pad);
    }
  }
}

TEST_F(OverVectors, LayersOfAnMlp) {
  for (const Extents& e :
       {Extents{128, 512, 784}, Extents{784, 512, 128}, Extents{128, 256, 512}, Extents{128, 10, 256}})
    check_products(DType::f32, e, 0);
}

Conv2d convolution(DType type, int64_t n, int64_t c, int64_t h, int64_t w, int64_t o, int64_t kernel, int64_t stride,
                   int64_t pad, int64_t dilation = 1, int64_t groups = 1) {
  auto out = [&](int64_t in) { return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1; };
  return {type, n, c, h, w, o, kernel, kernel, out(h), out(w), stride, stride, pad, pad, dilation, dilation, groups};
}

TEST_F(OverVectors, Convolutions) {
  for (DType type : {DType::f32, DType::f64}) {
    for (const Conv2d& d :
         {convolution(type, 3, 1, 28, 28, 32, 3, 1, 1), convolution(type, 5, 32, 14, 14, 64, 3, 1, 1),
          convolution(type, 19, 35, 4, 5, 3, 3, 2, 1), convolution(type, 37, 2, 6, 6, 7, 3, 1, 1),
          convolution(type, 2, 6, 7, 9, 6, 3, 1, 1, 1, 6), convolution(type, 1, 4, 9, 10, 10, 2, 3, 1, 1, 2),
          convolution(type, 2, 3, 11, 13, 5, 3, 1, 2, 2), convolution(type, 2, 70, 5, 5, 9, 3, 1, 1),
          convolution(type, 40, 5, 3, 3, 13, 1, 1, 0), convolution(type, 1, 8, 97, 90, 5, 3, 1, 1)}) {
      size_t ny = static_cast<size_t>(d.n * d.o * d.oh * d.ow), nx = static_cast<size_t>(d.n * d.c * d.h * d.w);
      size_t nw = static_cast<size_t>(d.o * (d.c / d.groups) * d.kh * d.kw);
      Array x = random_array(type, static_cast<int64_t>(nx), 1), w = random_array(type, static_cast<int64_t>(nw), 2);
      Array dy = random_array(type, static_cast<int64_t>(ny), 3), bias = random_array(type, d.o, 4);
      expect_same(std::string(name_of(type)) + " c" + std::to_string(d.c) + " o" + std::to_string(d.o),
                  [&](Context& ctx) {
                    std::vector<Array> r{Array(type, ny), Array(type, ny), Array(type, nx), Array(type, nw)};
                    cpu().conv2d(ctx, d, r[0].data(), x.data(), w.data(), nullptr, false);
                    cpu().conv2d(ctx, d, r[1].data(), x.data(), w.data(), bias.data(), true);
                    cpu().conv2d_grad_input(ctx, d, r[2].data(), dy.data(), w.data());
                    cpu().conv2d_grad_weight(ctx, d, r[3].data(), dy.data(), x.data());
                    return r;
                  });
    }
  }
}

}  // namespace
}  // namespace ds::kernels

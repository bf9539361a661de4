#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

Array run(const Table& table, Context& ctx, Matmul p, size_t size, const Array& a, const Array& b, const Array& c) {
  Array out = c;
  p.a = a.data();
  p.b = b.data();
  p.c = out.data();
  table.matmul(ctx, p);
  EXPECT_EQ(out.size(), size);
  return out;
}

// Every way of describing a product, with pitches wider than the rows and a batch whose B is shared.
TEST(CudaMatmul, LayoutsEpiloguesAndBatchesReachTheLibrary) {
  for (DType type : kFloats) {
    for (int bits = 0; bits < 64; ++bits) {
      bool trans_a = bits & 1, trans_b = bits & 2, accumulate = bits & 4, relu = bits & 8, has_bias = bits & 16;
      int64_t batch = bits & 32 ? 3 : 1, m = 5, n = 7, k = bits % 5 == 4 ? 0 : 6;
      int64_t lda = (trans_a ? m : std::max<int64_t>(k, 1)) + 2, ldb = (trans_b ? std::max<int64_t>(k, 1) : n) + 3,
              ldc = n + 1;
      Array a = random_array(type, batch * 60, 1), b = random_array(type, 100, 2),
            c = random_array(type, batch * 50, 3);
      Array bias = random_array(type, n, 4);
      Matmul p{type, batch, m, n, k, nullptr, nullptr, nullptr, lda, ldb, ldc, 60, 0, 50, trans_a, trans_b};
      p.accumulate = accumulate;
      p.relu = relu;
      p.bias = has_bias ? bias.data() : nullptr;
      expect_close(std::string(name_of(type)) + " variant " + std::to_string(bits), 8,
                   [&](const Table& t, Context& ctx) { return std::vector<Array>{run(t, ctx, p, c.size(), a, b, c)}; });
    }
  }
}

TEST(CudaMatmul, TheLibraryLearnsHowOperandsAreAligned) {
  Array a = random_array(DType::f32, 40, 1), b = random_array(DType::f32, 40, 2);
  expect_close("a view", 8, [&](const Table& t, Context& ctx) {
    std::vector<Array> out{Array(DType::f32, 40)};
    std::fill_n(static_cast<char*>(out[0].data()), 160, 0);
    Matmul p{DType::f32,
             1,
             4,
             4,
             4,
             static_cast<const float*>(a.data()) + 1,
             static_cast<const float*>(b.data()) + 3,
             static_cast<float*>(out[0].data()) + 5,
             4,
             4,
             4,
             0,
             0,
             0,
             false,
             false};
    t.matmul(ctx, p);
    return out;
  });
}

// Without the library, and with the cpu's bits.
TEST(CudaMatmul, IntegersAndComplexNumbers) {
  for (DType type : {DType::i8, DType::u16, DType::i64, DType::c64, DType::c128}) {
    for (int bits = 0; bits < 32; ++bits) {
      bool trans_a = bits & 1, trans_b = bits & 2, has_bias = bits & 4;
      int64_t batch = bits & 8 ? 3 : 1, m = 5, n = 19, k = bits & 16 ? 33 : 0, kk = std::max<int64_t>(k, 1);
      int64_t lda = (trans_a ? m : kk) + 2, ldb = (trans_b ? kk : n) + 3, sa = (trans_a ? kk : m) * lda;
      Array a = random_any_array(type, batch * sa, 1), b = random_any_array(type, (trans_b ? n : kk) * ldb, 2);
      Array c = random_any_array(type, batch * 100, 3), bias = random_any_array(type, n, 4);
      Matmul p{type, batch, m, n, k, nullptr, nullptr, nullptr, lda, ldb, n + 1, sa, 0, 100, trans_a, trans_b};
      p.accumulate = !trans_a;
      p.relu = has_bias && !is_complex(type);
      p.bias = has_bias ? bias.data() : nullptr;
      expect_same_bits(std::string(name_of(type)) + " variant " + std::to_string(bits),
                       [&](const Table& t, Context& x) { return std::vector<Array>{run(t, x, p, c.size(), a, b, c)}; });
    }
  }
}

TEST(CudaMatmul, BoolIsRefused) {
  TestContext ctx(1);
  Matmul p{DType::boolean, 1, 1, 1, 1, nullptr, nullptr, nullptr, 1, 1, 1, 0, 0, 0, false, false};
  EXPECT_THROW(cuda().matmul(ctx, p), NotSupported);
}

}  // namespace
}  // namespace ds::kernels

#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

struct Case {
  DType type;
  int64_t batch, m, n, k;
  bool ta, tb, accumulate, bias, relu;
  int64_t pad = 0;  // of every leading dimension
  bool broadcast_b = false;
};

void check(const Case& t) {
  std::string what = std::string(name_of(t.type)) + " " + std::to_string(t.batch) + "x" + std::to_string(t.m) + "x" +
                     std::to_string(t.n) + "x" + std::to_string(t.k) + (t.ta ? " ta" : "") + (t.tb ? " tb" : "") +
                     (t.accumulate ? " acc" : "") + (t.bias ? " bias" : "") + (t.relu ? " relu" : "");
  int64_t lda = (t.ta ? t.m : t.k) + t.pad, ldb = (t.tb ? t.k : t.n) + t.pad, ldc = t.n + t.pad;
  int64_t sa = (t.ta ? t.k : t.m) * lda, sb = (t.tb ? t.n : t.k) * ldb, sc = t.m * ldc;
  Array a = random_array(t.type, t.batch * sa, 1), b = random_array(t.type, (t.broadcast_b ? 1 : t.batch) * sb, 2);
  Array c = random_array(t.type, t.batch * sc, 3), bias = random_array(t.type, t.n, 4);
  Matmul x{t.type,
           t.batch,
           t.m,
           t.n,
           t.k,
           a.data(),
           b.data(),
           nullptr,
           lda,
           ldb,
           ldc,
           sa,
           t.broadcast_b ? 0 : sb,
           sc,
           t.ta,
           t.tb,
           t.accumulate,
           t.bias ? bias.data() : nullptr,
           t.relu};
  auto out = on_threads([&](Context& ctx) {
    Array y = c;
    Matmul call = x;
    call.c = y.data();
    cpu().matmul(ctx, call);
    return std::vector<Array>{y};
  });
  std::vector<double> want(c.size());
  for (size_t i = 0; i < want.size(); ++i) want[i] = c[i];
  for (int64_t q = 0; q < t.batch; ++q) {
    for (int64_t i = 0; i < t.m; ++i) {
      for (int64_t j = 0; j < t.n; ++j) {
        double s = t.accumulate ? c[static_cast<size_t>(q * sc + i * ldc + j)] : 0;
        for (int64_t p = 0; p < t.k; ++p) {
          s += a[static_cast<size_t>(q * sa + (t.ta ? p * lda + i : i * lda + p))] *
               b[static_cast<size_t>(q * x.stride_b + (t.tb ? j * ldb + p : p * ldb + j))];
        }
        if (t.bias) s += bias[static_cast<size_t>(j)];
        if (is_integer(t.type) && size_of(t.type) < 8) s = stored(t.type, s);
        want[static_cast<size_t>(q * sc + i * ldc + j)] = t.relu && !is_complex(t.type) ? std::max(0.0, s) : s;
      }
    }
  }
  expect_near(out[0], want, 2 * std::max(1.0, std::sqrt(static_cast<double>(t.k))), what);
}

std::vector<DType> multiplied_types() {
  std::vector<DType> types = kFloats;
  for (DType t : {DType::i8, DType::u16, DType::i32, DType::i64, DType::u64, DType::c64, DType::c128})
    types.push_back(t);
  return types;
}

TEST(Matmul, EveryTransposeAndEdge) {
  for (DType type : multiplied_types()) {
    for (int64_t m : {1, 5, 6, 13}) {
      for (int64_t n : {1, 7, 10, 16, 33}) {
        for (int64_t k : {1, 3, 64, 300}) {
          for (int t = 0; t < 4; ++t) check({type, 1, m, n, k, (t & 1) != 0, (t & 2) != 0, false, false, false});
        }
      }
    }
  }
}

TEST(Matmul, EpilogueAndAccumulate) {
  for (DType type : multiplied_types()) {
    for (int e = 0; e < 8; ++e) {
      check({type, 1, 17, 29, 530, false, e % 2 == 0, (e & 1) != 0, (e & 2) != 0, (e & 4) != 0, 3});
      check({type, 1, 160, 40, 20, true, false, (e & 1) != 0, (e & 2) != 0, (e & 4) != 0});
    }
  }
}

TEST(Matmul, BatchesAndBroadcast) {
  for (DType type : multiplied_types()) {
    check({type, 5, 9, 11, 13, false, false, false, true, true, 2});
    check({type, 4, 8, 16, 8, true, true, true, false, false, 0, true});
    check({type, 2, 70, 35, 40, false, true, false, false, false});
  }
}

TEST(Matmul, LayersOfAnMlp) {
  for (int64_t batch : {16, 32, 128}) {
    check({DType::f32, 1, batch, 512, 784, false, true, false, true, true});
    check({DType::f32, 1, batch, 512, 784, false, false, false, true, true});
    check({DType::f32, 1, batch, 10, 256, false, true, false, true, false});
    check({DType::f32, 1, 256, 512, batch, true, false, false, false, false});
    check({DType::f32, 1, 10, 256, batch, true, false, false, false, false});
  }
}

TEST(Matmul, LargeBlocks) {
  check({DType::f32, 1, 300, 1100, 600, false, false, false, false, false});
  check({DType::f64, 1, 200, 1030, 270, true, true, false, false, false});
  check({DType::bf16, 1, 200, 1030, 270, false, false, false, true, true});
}

TEST(Matmul, EmptyExtents) {
  check({DType::f32, 1, 3, 4, 0, false, false, false, true, true});
  check({DType::f32, 1, 3, 4, 0, false, true, true, false, false});
  check({DType::bf16, 1, 3, 4, 0, false, false, false, true, false});
  check({DType::f32, 1, 0, 4, 3, false, false, false, false, false});
  check({DType::f32, 0, 2, 4, 3, false, false, false, false, false});
}

TEST(Matmul, NanAndInfinityPass) {
  Array a(DType::f32, {kNan, 1, kInf, 1}), b(DType::f32, {1, 2, 3, 4});
  Array c(DType::f32, 4);
  TestContext ctx(1);
  cpu().matmul(ctx, {.type = DType::f32,
                     .batch = 1,
                     .m = 2,
                     .n = 2,
                     .k = 2,
                     .a = a.data(),
                     .b = b.data(),
                     .c = c.data(),
                     .lda = 2,
                     .ldb = 2,
                     .ldc = 2,
                     .stride_a = 0,
                     .stride_b = 0,
                     .stride_c = 0,
                     .trans_a = false,
                     .trans_b = false,
                     .relu = true});
  expect_near(c, {kNan, kNan, kInf, kInf}, 1, "relu of NaN");
}

TEST(Matmul, RefusesBool) {
  TestContext ctx(1);
  Matmul x{};
  x.type = DType::boolean;
  EXPECT_THROW(cpu().matmul(ctx, x), NotSupported);
}

}  // namespace
}  // namespace ds::kernels

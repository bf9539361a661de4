#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

Tensor random(const Shape& s, uint64_t seed = 3, DType t = DType::f64) {
  return tensor(numbers(s.numel(), -1, 1, seed), s, t).eval();
}
Tensor positive(const Tensor& a) { return matmul(a, matrix_transpose(a)) + eye(a.size(-2), -1, a.dtype()); }
Tensor t(const Tensor& a) { return matrix_transpose(a); }

void same(const Tensor& got, const Tensor& want, const char* what) {
  EXPECT_EQ(got.shape(), want.shape()) << what;
  expect_near(doubles(got), doubles(want), got.dtype() == DType::f64 ? 1e-11 : 2e-5, what);
}

TEST(Linalg, DecompositionsMultiplyBack) {
  for (DType type : {DType::f32, DType::f64})
    for (Shape s : {Shape{3, 3}, Shape{2, 5, 3}, Shape{3, 5}, Shape{40, 30}, Shape{1, 1}, Shape{0, 3, 3}}) {
      Tensor a = random(s, 3, type);
      for (bool complete : {false, true}) {
        QR f = qr(a, complete);
        same(matmul(f.q, f.r), a, "qr");
        SVD d = svd(a, complete);
        int64_t k = d.s.size(-1);
        same(matmul(slice(d.u, -1, 0, k) * unsqueeze(d.s, -2), slice(d.vh, -2, 0, k)), a, "svd");
      }
      LU f = lu(a);
      Tensor rows = broadcast_to(unsqueeze(f.pivots, -1), a.shape());
      same(matmul(f.l, f.u), gather(a, -2, rows), "lu");
      Tensor p = positive(a), l = cholesky(p);
      same(matmul(l, t(l)), p, "cholesky");
      same(triu(l, 1), l * 0.0, "cholesky's triangle");
      Eigh e = eigh(p);
      same(matmul(e.vectors * unsqueeze(e.values, -2), t(e.vectors)), p, "eigh");
      same(matmul(matmul(a, pinv(a)), a), a, "pinv");
    }
}

TEST(Linalg, SolvesAndDeterminants) {
  Tensor a = random({2, 4, 4}) + eye(4, -1, DType::f64) * 3.0, b = random({4, 2}, 4);
  same(matmul(a, solve(a, b)), broadcast_to(b, {2, 4, 2}), "solve");
  same(matmul(a, inv(a)), broadcast_to(eye(4, -1, DType::f64), {2, 4, 4}), "inv");
  same(matmul(tril(a), triangular_solve(a, b, false)), broadcast_to(b, {2, 4, 2}), "lower");
  same(matmul(triu(a), triangular_solve(a, b, true)), broadcast_to(b, {2, 4, 2}), "upper");
  SlogDet d = slogdet(a);
  same(d.sign * exp(d.logabsdet), det(a), "slogdet");
  EXPECT_NEAR(det(tensor({0, 1, 1, 0}, {2, 2}, DType::f64)).item<double>(), -1, 1e-12);
  EXPECT_EQ(det(full({0, 0}, 0, DType::f64)).item<double>(), 1);
  EXPECT_EQ(matrix_rank(ones({3, 4})).item<int64_t>(), 1);
  EXPECT_THROW(cholesky(tensor({1, 2, 2, 1}, {2, 2}, DType::f64)).eval(), Error);
  EXPECT_THROW(inv(zeros({2, 2})).eval(), Error);
  EXPECT_THROW(det(zeros({2, 3})), Error);
  EXPECT_THROW(qr(zeros({2, 3}, DType::i64)), Error);
}

TEST(Linalg, Gradients) {
  Doubles v = numbers(9, -1, 1, 5), w = numbers(6, -1, 1, 6);
  auto square = [&](const Function& f) { check_gradient(f, {v}, {{3, 3}}); };
  square([](auto& in) { return cholesky(positive(in[0])); });
  square([](auto& in) { return lu(in[0]).l; });
  square([](auto& in) { return lu(in[0]).u; });
  square([](auto& in) { return inv(in[0] + eye(3, -1, DType::f64) * 2.0); });
  square([](auto& in) { return det(in[0]); });
  square([](auto& in) { return slogdet(in[0]).logabsdet; });
  square([](auto& in) { return eigh(in[0] + t(in[0])).values; });
  square([](auto& in) { return abs(eigh(in[0] + t(in[0])).vectors); });
  for (Shape s : {Shape{3, 2}, Shape{2, 3}}) {
    check_gradient([](auto& in) { return qr(in[0]).q; }, {w}, {s});
    check_gradient([](auto& in) { return qr(in[0]).r; }, {w}, {s});
    check_gradient([](auto& in) { return svd(in[0], false).s; }, {w}, {s});
    check_gradient([](auto& in) { return abs(svd(in[0], false).u); }, {w}, {s});
    check_gradient([](auto& in) { return abs(svd(in[0], false).vh); }, {w}, {s});
    check_gradient([](auto& in) { return pinv(in[0]); }, {w}, {s});
  }
  for (bool upper : {false, true})
    for (bool unit : {false, true})
      check_gradient(
          [&](auto& in) { return triangular_solve(in[0] + eye(3, -1, DType::f64) * 2.0, in[1], upper, unit); }, {v, w},
          {{3, 3}, {3, 2}});
  check_gradient([](auto& in) { return solve(in[0] + eye(3, -1, DType::f64) * 2.0, in[1]); }, {v, w}, {{3, 3}, {3, 2}});
  Tensor x = tensor(v, {3, 3}, DType::f64).set_requires_grad(true);
  Tensor g = grad(sum(slogdet(x).logabsdet), {&x, 1}, {.create_graph = true})[0];
  Tensor gg = grad(weighted(g), {&x, 1})[0];
  check_gradient(
      [](auto& in) {
        Tensor y = in[0];
        return t(inv(y));
      },
      {v}, {{3, 3}});
  EXPECT_EQ(gg.shape(), (Shape{3, 3}));
}

}  // namespace
}  // namespace ds::test

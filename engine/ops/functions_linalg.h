// Linear algebra of (...,m,n) matrices in float32 and float64; engine/ops/functions.h includes this. Decompositions run
// on the host: on other devices they are Errors. A matrix that has none (not positive definite, singular) is an Error
// when the result is computed.
#pragma once
#include "engine/lazy/tensor.h"

namespace ds {

Tensor eye(int64_t n, int64_t m = -1, DType = DType::f32, Device = {});  // m -1: square
Tensor tril(const Tensor& x, int64_t diagonal = 0);                      // 0 above that diagonal; any dtype
Tensor triu(const Tensor& x, int64_t diagonal = 0);                      // 0 below it
Tensor diag_embed(const Tensor& x);                                      // (...,n) -> (...,n,n)
Tensor diagonal(const Tensor& x);                                        // (...,m,n) -> (...,min(m,n))
Tensor matrix_transpose(const Tensor& x);                                // the last two dimensions

Tensor cholesky(const Tensor& a, bool upper = false);  // reads the lower triangle
struct QR {
  Tensor q, r;
};
QR qr(const Tensor& a, bool complete = false);  // reduced: (m,k), (k,n) with k = min(m,n). Complete: (m,m), (m,n)
struct SVD {
  Tensor u, s, vh;  // s descending
};
SVD svd(const Tensor& a, bool full_matrices = true);  // only the reduced one has a gradient
Tensor svdvals(const Tensor& a);
struct Eigh {
  Tensor values, vectors;  // values ascending; a column each
};
Eigh eigh(const Tensor& a);  // symmetric: reads the lower triangle
struct LU {
  Tensor pivots, l, u;  // pivots int64 (...,m): row i of l u is row pivots[i] of a
};
LU lu(const Tensor& a);                          // the gradient: square matrices only
Tensor solve(const Tensor& a, const Tensor& b);  // (...,n,n), (...,n,k) -> (...,n,k); batch dimensions broadcast
Tensor triangular_solve(const Tensor& a, const Tensor& b, bool upper, bool unitriangular = false);  // reads a triangle
Tensor inv(const Tensor& a);
Tensor det(const Tensor& a);
struct SlogDet {
  Tensor sign, logabsdet;
};
SlogDet slogdet(const Tensor& a);
Tensor pinv(const Tensor& a, double rtol = -1);         // rtol of the largest singular value; -1: max(m,n) epsilon
Tensor matrix_rank(const Tensor& a, double rtol = -1);  // int64

}  // namespace ds

// Decompositions and solves of matrices: the engine's, by their own names.
#include "engine/ops/functions.h"
#include "python/bind/ops.h"
#include "python/bind/types.h"

namespace ds::py {

void bind_linalg_ops(nb::module_& m) {
  m.def("cholesky", [](const Tensor& a) { return cholesky(a); });
  m.def("qr", [](const Tensor& a, bool complete) {
    QR f = qr(a, complete);
    return nb::make_tuple(f.q, f.r);
  });
  m.def("svd", [](const Tensor& a, bool full_matrices) {
    SVD f = svd(a, full_matrices);
    return nb::make_tuple(f.u, f.s, f.vh);
  });
  m.def("eigh", [](const Tensor& a) {
    Eigh f = eigh(a);
    return nb::make_tuple(f.values, f.vectors);
  });
  m.def("lu", [](const Tensor& a) {
    LU f = lu(a);
    return nb::make_tuple(f.pivots, f.l, f.u);
  });
  m.def("solve", [](const Tensor& a, const Tensor& b) { return solve(a, b); });
  m.def("triangular_solve", triangular_solve);
  m.def("det", [](const Tensor& a) { return det(a); });
  m.def("slogdet", [](const Tensor& a) {
    SlogDet f = slogdet(a);
    return nb::make_tuple(f.sign, f.logabsdet);
  });
}

}  // namespace ds::py

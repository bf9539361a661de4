// Decompositions and solves of batches of matrices: one primitive, the kind is its attribute.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

enum class Linalg : uint8_t {
  cholesky,  // a -> l
  qr,        // a -> q, r
  qr_complete,
  svd,  // a -> u, s, vh
  svd_full,
  eigh,         // a -> values, vectors
  lu,           // a -> pivots, l, u
  solve,        // a, b -> x
  solve_lower,  // a, b -> x; reads the lower triangle of a
  solve_upper,
  solve_unit_lower,
  solve_unit_upper,
  slogdet,  // a -> sign, log |det|
  det,      // a -> det
};

class LinalgOp final : public Primitive<OpKind::LinalgOp> {
 public:
  explicit LinalgOp(Linalg what) : what_(what) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Linalg what_;
};

const char* name_of(Linalg);

// One batch on the host: row-major matrices of (m,n), right sides (m,k). Throws Error naming the kind and the matrix
// when it has no such decomposition.
struct LinalgCall {
  Linalg what;
  DType type;  // f32, f64
  int64_t batch, m, n, k;
  const void* in[2];
  void* out[3];
};
void linalg_on_host(kernels::Context&, const LinalgCall&);

}  // namespace ds

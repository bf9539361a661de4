// Elementwise primitives: one class each. Their arithmetic is the row of the same name in kernels/elementwise.def; here
// stand the gradient and the rule for dtypes.
#pragma once
#include "engine/lazy/op.h"
#include "engine/ops/functions.h"

namespace ds {

// The executor fuses these: it reads `code` and never calls eval.
class Elementwise : public Op {
 public:
  virtual kernels::Ew code() const = 0;
  uint8_t variant() const final { return static_cast<uint8_t>(code()); }
  void eval(Execution&) const final;
  Cost cost(std::span<const Type> inputs, std::span<const Type> outputs) const override;
};

template <OpKind K, kernels::Ew E>
class ElementwiseBase : public Elementwise {
 public:
  OpKind kind() const final { return K; }
  kernels::Ew code() const final { return E; }
};

using Grads = std::vector<Tensor>;
using TensorSpan = std::span<const Tensor>;

// D: the gradient, a function of (x, y, g); g times the conjugate of the slope, and the conjugate of a real one is
// itself.
enum class Domain : uint8_t { any, ordered, inexact, floating, complex, boolean };  // inexact: floating or complex
void check_domain(const char* op, const Type&, Domain);
// The type of one of these of x: of abs, real, imag and angle, a complex number's parts.
Type unary_type(kernels::Ew, const Type& x);

#define DS_UNARY_OP(Class, row, domain, gradient)                                  \
  class Class final : public ElementwiseBase<OpKind::Class, kernels::Ew::row##_> { \
   public:                                                                         \
    Types infer(std::span<const Type> in) const override {                         \
      check_domain(info().name, in[0], Domain::domain);                            \
      return {unary_type(kernels::Ew::row##_, in[0])};                             \
    }                                                                              \
    Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override {    \
      [[maybe_unused]] const Tensor &x = in[0], &y = out[0], &g = grads[0];        \
      return {gradient};                                                           \
    }                                                                              \
  };

Tensor sign_gradient(const Tensor& x, const Tensor& y, const Tensor& g);
DS_UNARY_OP(Neg, neg, any, neg(g))
DS_UNARY_OP(Abs, abs, any, g* sign(x))
DS_UNARY_OP(Sign, sign, any, sign_gradient(x, y, g))
DS_UNARY_OP(Exp, exp, inexact, g* conj(y))
DS_UNARY_OP(Log, log, inexact, g / conj(x))
DS_UNARY_OP(Sqrt, sqrt, inexact, g * 0.5 / conj(y))
DS_UNARY_OP(Rsqrt, rsqrt, inexact, g * -0.5 * conj(y) * conj(y) * conj(y))
DS_UNARY_OP(Sin, sin, inexact, g* conj(cos(x)))
DS_UNARY_OP(Cos, cos, inexact, neg(g* conj(sin(x))))
DS_UNARY_OP(Tanh, tanh, inexact, g* conj(1.0 - y * y))
DS_UNARY_OP(Sigmoid, sigmoid, inexact, g* conj(y) * conj(1.0 - y))
DS_UNARY_OP(Relu, relu, ordered, where(greater(y, like(y, 0)), g, like(g, 0)))  // of the result: x need not be kept
DS_UNARY_OP(Erf, erf, floating, g* exp(neg(x* x)) * 1.1283791670955126)         // 2/sqrt(pi)
DS_UNARY_OP(Floor, floor, ordered, Tensor())
DS_UNARY_OP(Ceil, ceil, ordered, Tensor())
DS_UNARY_OP(Round, round, ordered, Tensor())
DS_UNARY_OP(LogicalNot, logical_not, boolean, Tensor())
DS_UNARY_OP(Real, real, complex, cast(g, x.dtype()))
DS_UNARY_OP(Imag, imag, complex, complex(like(g, 0), g))
DS_UNARY_OP(Conj, conj, complex, conj(g))
DS_UNARY_OP(Angle, angle, complex, g / conj(x) * complex(like(g, 0), like(g, 1)))  // i g x / |x|^2
#undef DS_UNARY_OP

// Operands made of one dtype (the promoted one) and one shape (the broadcast one).
struct Pair {
  Tensor a, b;
};
Pair match(const char* op, const Tensor& a, const Tensor& b);

// Operands come with one dtype and one shape: the functions of elementwise.cpp have broadcast and promoted them.
void check_pair(const char* op, const Type& a, const Type& b, Domain);

#define DS_BINARY_OP(Class, row, domain, result, grad_a, grad_b)                        \
  class Class final : public ElementwiseBase<OpKind::Class, kernels::Ew::row##_> {      \
   public:                                                                              \
    Types infer(std::span<const Type> in) const override {                              \
      check_pair(info().name, in[0], in[1], Domain::domain);                            \
      return {{result, in[0].shape}};                                                   \
    }                                                                                   \
    Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override {         \
      [[maybe_unused]] const Tensor &a = in[0], &b = in[1], &y = out[0], &g = grads[0]; \
      return {grad_a, grad_b};                                                          \
    }                                                                                   \
  };

DS_BINARY_OP(Add, add, any, in[0].dtype, g, g)
DS_BINARY_OP(Sub, sub, any, in[0].dtype, g, neg(g))
DS_BINARY_OP(Mul, mul, any, in[0].dtype, g* conj(b), g* conj(a))
DS_BINARY_OP(Div, div, any, in[0].dtype, g / conj(b), neg(g* conj(y) / conj(b)))
// x^0 is 1 everywhere: its slope is 0, at 0 too, where b a^(b-1) is 0 times infinity.
Tensor pow_gradient_of_power(const Tensor& a, const Tensor& y, const Tensor& g);
DS_BINARY_OP(Pow, pow, any, in[0].dtype, where(equal(b, like(b, 0)), like(g, 0), g* conj(b) * conj(pow(a, b - 1.0))),
             pow_gradient_of_power(a, y, g))
// Ties share the gradient, as PyTorch's maximum does.
DS_BINARY_OP(Maximum, maximum, ordered, in[0].dtype,
             g*(cast(less(b, a), g.dtype()) + 0.5 * cast(equal(a, b), g.dtype())),
             g*(cast(less(a, b), g.dtype()) + 0.5 * cast(equal(a, b), g.dtype())))
DS_BINARY_OP(Minimum, minimum, ordered, in[0].dtype,
             g*(cast(less(a, b), g.dtype()) + 0.5 * cast(equal(a, b), g.dtype())),
             g*(cast(less(b, a), g.dtype()) + 0.5 * cast(equal(a, b), g.dtype())))
DS_BINARY_OP(Less, less, ordered, DType::boolean, Tensor(), Tensor())
DS_BINARY_OP(LessEqual, less_equal, ordered, DType::boolean, Tensor(), Tensor())
DS_BINARY_OP(Equal, equal, any, DType::boolean, Tensor(), Tensor())
DS_BINARY_OP(NotEqual, not_equal, any, DType::boolean, Tensor(), Tensor())
DS_BINARY_OP(ComplexOp, complex, floating, complex_of(in[0].dtype), real(g), imag(g))
DS_BINARY_OP(LogicalAnd, logical_and, boolean, DType::boolean, Tensor(), Tensor())
DS_BINARY_OP(LogicalOr, logical_or, boolean, DType::boolean, Tensor(), Tensor())
#undef DS_BINARY_OP

class Where final : public ElementwiseBase<OpKind::Where, kernels::Ew::where_> {
 public:
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
};

class Cast final : public ElementwiseBase<OpKind::Cast, kernels::Ew::cast_> {
 public:
  explicit Cast(DType to) : to_(to) {}
  Types infer(std::span<const Type> in) const override { return {{to_, in[0].shape}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  Attributes attributes() const override { return {{"dtype", to_}}; }
  static Made make(const Given& g) { return std::make_unique<Cast>(g.dtype("dtype")); }

 private:
  DType to_;
};

}  // namespace ds

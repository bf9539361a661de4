#include "engine/ops/elementwise.h"

#include <cmath>
#include <utility>

namespace ds {
namespace {

constexpr double kFlops[] = {
#define DS_EW(name, operands, flops) flops,
#include "kernels/elementwise.def"
    1,  // cast
};

template <class O>
Tensor binary(const Tensor& a, const Tensor& b) {
  if (a.type() == b.type()) return apply1<O>({a, b});
  Pair p = match(info_of(O().kind()).name, a, b);
  return apply1<O>({p.a, p.b});
}

// bool, integers, floats, complex numbers
int kind_of(DType t) { return t == DType::boolean ? 0 : is_integer(t) ? 1 : is_floating(t) ? 2 : 3; }

DType promote_integers(const char* op, DType a, DType b) {
  if (is_signed(a) == is_signed(b)) return size_of(a) < size_of(b) ? b : a;
  DType s = is_signed(a) ? a : b, u = is_signed(a) ? b : a;
  if (size_of(s) > size_of(u)) return s;
  switch (size_of(u)) {
    case 1:
      return DType::i16;
    case 2:
      return DType::i32;
    case 4:
      return DType::i64;
    default:
      fail(op, "no integer holds ", name_of(a), " and ", name_of(b), "; cast one of the operands");
  }
}

}  // namespace

DType promote_types(const char* op, DType a, DType b) {
  if (kind_of(a) > kind_of(b)) std::swap(a, b);
  if (a == b) return a;
  if (kind_of(a) < 2 && kind_of(a) < kind_of(b)) return b;
  if (kind_of(b) == 1) return promote_integers(op, a, b);
  if (kind_of(b) == 3) return size_of(real_of(a)) == 8 ? DType::c128 : b;
  return size_of(a) == size_of(b) ? DType::f32 : size_of(a) < size_of(b) ? b : a;
}

Pair match(const char* op, const Tensor& a, const Tensor& b) {
  DType t = promote_types(op, a.dtype(), b.dtype());
  Shape shape = broadcast_shapes(op, a.shape(), b.shape());
  return {broadcast_to(cast(a, t), shape), broadcast_to(cast(b, t), shape)};
}

void check_domain(const char* op, const Type& t, Domain domain) {
  if (domain == Domain::ordered && is_complex(t.dtype)) fail(op, "complex numbers have no order: got ", t);
  if (domain == Domain::inexact && !is_inexact(t.dtype)) fail(op, "a floating or complex dtype is needed, got ", t);
  if (domain == Domain::floating && !is_floating(t.dtype)) fail(op, "a floating dtype is needed, got ", t);
  if (domain == Domain::complex && !is_complex(t.dtype)) fail(op, "a complex dtype is needed, got ", t);
  if (domain == Domain::boolean && t.dtype != DType::boolean) fail(op, "bool is needed, got ", t);
}

void check_pair(const char* op, const Type& a, const Type& b, Domain domain) {
  if (!(a == b)) fail(op, "operands differ: got ", a, " and ", b);
  check_domain(op, a, domain);
}

Type unary_type(kernels::Ew e, const Type& x) {
  using kernels::Ew;
  bool part = e == Ew::abs_ || e == Ew::real_ || e == Ew::imag_ || e == Ew::angle_;
  return part ? Type{real_of(x.dtype), x.shape} : x;
}

// Of a real sign there is none; z / |z| only moves across z: g / |z| without its part along y.
Tensor sign_gradient(const Tensor& x, const Tensor& y, const Tensor& g) {
  if (!is_complex(x.dtype())) return {};
  Tensor zero = equal(x, like(x, 0)), size = where(zero, like(abs(x), 1), abs(x));
  return where(zero, like(g, 0), (g - y * real(g * conj(y))) / size);
}

// g times the conjugate of y log(a): NaN where a is negative, as in PyTorch, and 0 where 0 has a finite power.
Tensor pow_gradient_of_power(const Tensor& a, const Tensor& y, const Tensor& g) {
  Tensor good = not_equal(a, like(a, 0));
  if (!is_complex(a.dtype())) good = where(good, good, greater(y, like(y, 1)));
  return g * where(good, conj(y) * conj(log(where(good, a, like(a, 1)))), like(a, 0));
}

void Elementwise::eval(Execution&) const { fail(info().name, "elementwise ops run as programs"); }

Cost Elementwise::cost(std::span<const Type> inputs, std::span<const Type> outputs) const {
  Cost c = Op::cost(inputs, outputs);
  c.flops = kFlops[static_cast<int>(code())] * static_cast<double>(outputs[0].shape.numel());
  return c;
}

Types Where::infer(std::span<const Type> in) const {
  if (in[0].dtype != DType::boolean) fail("where", "the condition must be bool, got ", in[0]);
  if (!(in[1] == in[2])) fail("where", "branches differ: got ", in[1], " and ", in[2]);
  return {in[1]};
}

Grads Where::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  Tensor zero = like(grads[0], 0);
  return {{}, where(in[0], grads[0], zero), where(in[0], zero, grads[0])};
}

Grads Cast::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {is_inexact(in[0].dtype()) ? cast(grads[0], in[0].dtype()) : Tensor()};
}

#define DS_DEFINE_unary(Class, name) \
  Tensor name(const Tensor& x) { return apply1<Class>({x}); }
#define DS_DEFINE_binary(Class, name) \
  Tensor name(const Tensor& a, const Tensor& b) { return binary<Class>(a, b); }
#define DS_DEFINE_elementwise(Class, name)
#define DS_DEFINE_view(Class, name)
#define DS_DEFINE_constant(Class, name)
#define DS_DEFINE_compute(Class, name)
#define DS_DEFINE_random(Class, name)
#define DS_DEFINE_communication(Class, name)
#define OP(Class, name, category) DS_DEFINE_##category(Class, name)
#include "engine/ops/ops.def"

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Pair p = match("where", a, b);
  Shape shape = broadcast_shapes("where", condition.shape(), p.a.shape());
  return apply1<Where>({broadcast_to(condition, shape), broadcast_to(p.a, shape), broadcast_to(p.b, shape)});
}

Tensor real(const Tensor& x) { return is_complex(x.dtype()) ? apply1<Real>({x}) : x; }
Tensor imag(const Tensor& x) { return is_complex(x.dtype()) ? apply1<Imag>({x}) : broadcast_to(like(x, 0), x.shape()); }
Tensor conj(const Tensor& x) { return is_complex(x.dtype()) ? apply1<Conj>({x}) : x; }
Tensor angle(const Tensor& x) {
  if (is_complex(x.dtype())) return apply1<Angle>({x});
  Tensor y = is_floating(x.dtype()) ? x : cast(x, DType::f32);
  return where(less(y, like(y, 0)), like(y, 3.14159265358979323846), where(equal(y, y), like(y, 0), y));
}
Tensor complex(const Tensor& re, const Tensor& im) {
  Pair p = match("complex", re, im);
  DType t = p.a.dtype() == DType::f64 ? DType::f64 : DType::f32;
  if (is_complex(p.a.dtype())) fail("complex", "the parts must be real, got ", re.type(), " and ", im.type());
  return apply1<ComplexOp>({cast(p.a, t), cast(p.b, t)});
}
Tensor cast(const Tensor& x, DType t) { return x.dtype() == t ? x : apply1<Cast>({x}, t); }
Tensor like(const Tensor& x, double value) { return scalar(value, x.dtype(), x.device()); }
Tensor beside(const Tensor& x, double value) {
  DType t = x.dtype();
  if (!is_inexact(t) && value != std::trunc(value)) t = DType::f32;
  return scalar(value, t == DType::boolean ? DType::i64 : t, x.device());
}
Tensor square(const Tensor& x) { return x * x; }
Tensor silu(const Tensor& x) { return x * sigmoid(x); }
Tensor gelu(const Tensor& x) { return x * 0.5 * (1.0 + erf(x * 0.70710678118654752)); }

}  // namespace ds

#include "engine/ops/special.h"

#include <cmath>
#include <limits>

namespace ds {

const char* name_of(kernels::Ew code) {
  static constexpr const char* kNames[] = {
#define DS_EW(name, operands, flops) #name,
#include "kernels/elementwise.def"
  };
  return kNames[static_cast<int>(code)];
}

namespace {

using kernels::Ew;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor unary(Ew code, const Tensor& x) { return apply1<SpecialUnary>({x}, code); }

template <class O>
Tensor binary(Ew code, const Tensor& a, const Tensor& b) {
  Pair p = match(name_of(code), a, b);
  return apply1<O>({p.a, p.b}, code);
}

Tensor both(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
Tensor zero_of(const Tensor& x) { return like(x, 0); }
Tensor negative(const Tensor& x) { return less(x, zero_of(x)); }
Tensor is_zero(const Tensor& x) { return equal(x, zero_of(x)); }
// g where x is positive, -g where it is negative, 0 at 0
Tensor signed_as(const Tensor& x, const Tensor& g) { return g * sign(x); }

}  // namespace

Types SpecialUnary::infer(std::span<const Type> in) const {
  check_domain(name_of(code_), in[0], Domain::floating);
  return {in[0]};
}

Grads SpecialUnary::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  const Tensor &x = in[0], &y = out[0], &g = grads[0];
  switch (code_) {
    case Ew::log1p_:
      return {g / (x + 1.0)};
    case Ew::expm1_:
      return {g * (y + 1.0)};
    case Ew::exp2_:
      return {g * y * M_LN2};
    case Ew::log2_:
      return {g / (x * M_LN2)};
    case Ew::log10_:
      return {g / (x * M_LN10)};
    case Ew::tan_:
      return {g * (1.0 + y * y)};
    case Ew::asin_:
      return {g * rsqrt((1.0 - x) * (1.0 + x))};
    case Ew::acos_:
      return {neg(g * rsqrt((1.0 - x) * (1.0 + x)))};
    case Ew::atan_:
      return {g / (1.0 + x * x)};
    case Ew::sinh_:
      return {g * cosh(x)};
    case Ew::cosh_:
      return {g * sinh(x)};
    case Ew::asinh_:
      return {g * rsqrt(x * x + 1.0)};
    case Ew::acosh_:
      return {g * rsqrt((x - 1.0) * (x + 1.0))};
    case Ew::atanh_:
      return {g / ((1.0 - x) * (1.0 + x))};
    case Ew::erfc_:
      return {g * exp(neg(x * x)) * -M_2_SQRTPI};
    case Ew::erfinv_:
      return {g * exp(y * y) * (1 / M_2_SQRTPI)};
    case Ew::lgamma_:
      return {g * digamma(x)};
    case Ew::digamma_:
      return {g * polygamma(1, x)};
    case Ew::i0_:
      return {g * i1(x)};
    case Ew::i0e_:
      return {g * (i1e(x) - signed_as(x, y))};
    case Ew::i1_: {  // I0 - I1 / x, and 1/2 at 0
      Tensor zero = is_zero(x);
      return {g * where(zero, like(x, 0.5), i0(x) - y / where(zero, like(x, 1), x))};
    }
    case Ew::i1e_: {
      Tensor zero = is_zero(x);
      return {g * where(zero, like(x, 0.5), i0e(x) - signed_as(x, y) - y / where(zero, like(x, 1), x))};
    }
    default:
      return {Tensor()};
  }
}

Types SpecialBinary::infer(std::span<const Type> in) const {
  check_pair(name_of(code_), in[0], in[1], code_ == Ew::fmod_ ? Domain::any : Domain::floating);
  if (in[0].dtype == DType::boolean) fail(name_of(code_), "numbers are needed, got ", in[0]);
  if (code_ == Ew::nextafter_ && in[0].dtype != DType::f32 && in[0].dtype != DType::f64)
    fail("nextafter", "float32 or float64 is needed, got ", in[0]);
  return {in[0]};
}

Grads SpecialBinary::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  const Tensor &a = in[0], &b = in[1], &y = out[0], &g = grads[0];
  switch (code_) {
    case Ew::atan2_: {
      Tensor s = g / (a * a + b * b);
      return {s * b, neg(s * a)};
    }
    case Ew::hypot_:
      return {g * (a / y), g * (b / y)};
    case Ew::logaddexp_: {  // infinities of one sign have no difference: they share, as equal operands do
      Tensor same = equal(a, b), half = like(a, 0.5);
      return {g * where(same, half, exp(where(same, zero_of(a), a - y))),
              g * where(same, half, exp(where(same, zero_of(a), b - y)))};
    }
    case Ew::fmod_:
      return {g, neg(g * trunc(a / b))};
    case Ew::polygamma_:
      return {Tensor(), g * apply1<SpecialBinary>({a + 1.0, b}, Ew::polygamma_)};
    default:
      return {Tensor(), Tensor()};
  }
}

Types Bitwise::infer(std::span<const Type> in) const {
  check_pair(name_of(code_), in[0], in[1], Domain::any);
  bool shifts = code_ == Ew::shift_left_ || code_ == Ew::shift_right_;
  if (is_floating(in[0].dtype) || (shifts && in[0].dtype == DType::boolean))
    fail(name_of(code_), shifts ? "integers are needed, got " : "integers or bool are needed, got ", in[0]);
  return {in[0]};
}

namespace {

// Its instruction, one of the rows first to last of kernels/elementwise.def.
template <class O>
Made make_of(const Given& g, Ew first, Ew last, size_t operands) {
  g.takes(operands);
  const std::string& name = g.text("function");
  for (int code = static_cast<int>(first); code <= static_cast<int>(last); ++code)
    if (name == name_of(static_cast<Ew>(code))) return std::make_unique<O>(static_cast<Ew>(code));
  fail(g.op(), "no function is called \"", name, "\"");
}

}  // namespace

Made SpecialUnary::make(const Given& g) { return make_of<SpecialUnary>(g, Ew::log1p_, Ew::i1e_, 1); }
Made SpecialBinary::make(const Given& g) { return make_of<SpecialBinary>(g, Ew::atan2_, Ew::fmod_, 2); }
Made Bitwise::make(const Given& g) { return make_of<Bitwise>(g, Ew::bitwise_and_, Ew::shift_right_, 2); }

// ---- functions

#define DS_SPECIAL(name) \
  Tensor name(const Tensor& x) { return unary(Ew::name##_, x); }
DS_SPECIAL(log1p)
DS_SPECIAL(expm1)
DS_SPECIAL(exp2)
DS_SPECIAL(log2)
DS_SPECIAL(log10)
DS_SPECIAL(tan)
DS_SPECIAL(asin)
DS_SPECIAL(acos)
DS_SPECIAL(atan)
DS_SPECIAL(sinh)
DS_SPECIAL(cosh)
DS_SPECIAL(asinh)
DS_SPECIAL(acosh)
DS_SPECIAL(atanh)
DS_SPECIAL(erfc)
DS_SPECIAL(erfinv)
DS_SPECIAL(lgamma)
DS_SPECIAL(digamma)
DS_SPECIAL(i0)
DS_SPECIAL(i0e)
DS_SPECIAL(i1)
DS_SPECIAL(i1e)
#undef DS_SPECIAL
#define DS_SPECIAL(Class, name) \
  Tensor name(const Tensor& a, const Tensor& b) { return binary<Class>(Ew::name##_, a, b); }
DS_SPECIAL(SpecialBinary, atan2)
DS_SPECIAL(SpecialBinary, hypot)
DS_SPECIAL(SpecialBinary, logaddexp)
DS_SPECIAL(SpecialBinary, nextafter)
DS_SPECIAL(SpecialBinary, fmod)
DS_SPECIAL(Bitwise, bitwise_and)
DS_SPECIAL(Bitwise, bitwise_or)
DS_SPECIAL(Bitwise, bitwise_xor)
DS_SPECIAL(Bitwise, shift_left)
DS_SPECIAL(Bitwise, shift_right)
#undef DS_SPECIAL

Tensor bitwise_not(const Tensor& x) {
  if (x.dtype() == DType::boolean) return logical_not(x);
  return bitwise_xor(x, cast(scalar(-1, DType::i64, x.device()), x.dtype()));
}

Tensor polygamma(int64_t n, const Tensor& x) {
  if (n < 0) fail("polygamma", "the order must not be negative, got ", n);
  return binary<SpecialBinary>(Ew::polygamma_, like(x, static_cast<double>(n)), x);
}

Tensor reciprocal(const Tensor& x) { return 1.0 / x; }

Tensor sinc(const Tensor& x) {
  check_domain("sinc", x.type(), Domain::floating);
  if (size_of(x.dtype()) == 2) return cast(sinc(cast(x, DType::f32)), x.dtype());
  Tensor zero = is_zero(x), angle = where(zero, like(x, 1), x) * M_PI;
  return where(zero, like(x, 1), sin(angle) / angle);
}

Tensor trunc(const Tensor& x) { return is_floating(x.dtype()) ? where(negative(x), ceil(x), floor(x)) : x; }
Tensor isnan(const Tensor& x) { return not_equal(x, x); }
Tensor isinf(const Tensor& x) { return is_floating(x.dtype()) ? equal(abs(x), like(x, kInfinity)) : not_equal(x, x); }
Tensor isfinite(const Tensor& x) { return is_floating(x.dtype()) ? less(abs(x), like(x, kInfinity)) : equal(x, x); }

Tensor signbit(const Tensor& x) {
  if (x.dtype() == DType::boolean) return not_equal(x, x);
  if (!is_floating(x.dtype())) return negative(x);
  return logical_or(negative(x), both(is_zero(x), negative(1.0 / x)));
}

Tensor copysign(const Tensor& a, const Tensor& b) {
  Tensor size = abs(a);
  return where(signbit(b), neg(size), size);
}

Tensor xlogy(const Tensor& a, const Tensor& b) {
  Tensor nothing = both(is_zero(a), logical_not(isnan(b)));
  return where(nothing, zero_of(a) * zero_of(b), a * log(where(nothing, like(b, 1), b)));
}

Tensor fmin(const Tensor& a, const Tensor& b) {
  Pair p = match("fmin", a, b);
  return where(isnan(p.a), p.b, where(isnan(p.b), p.a, minimum(p.a, p.b)));
}

Tensor fmax(const Tensor& a, const Tensor& b) {
  Pair p = match("fmax", a, b);
  return where(isnan(p.a), p.b, where(isnan(p.b), p.a, maximum(p.a, p.b)));
}

Tensor remainder(const Tensor& a, const Tensor& b) {
  Pair p = match("remainder", a, b);
  Tensor r = fmod(p.a, p.b);
  Tensor off = both(logical_not(is_zero(r)), not_equal(negative(r), negative(p.b)));
  Tensor y = where(off, r + p.b, r);
  if (is_floating(y.dtype())) return y;
  return where(is_zero(p.b), zero_of(y), y);
}

// Python's: from the exact remainder, so that the quotient never rounds over a whole number.
Tensor floor_divide(const Tensor& a, const Tensor& b) {
  Pair p = match("floor_divide", a, b);
  Tensor r = fmod(p.a, p.b);
  Tensor off = both(logical_not(is_zero(r)), not_equal(negative(r), negative(p.b)));
  if (!is_floating(r.dtype())) {
    Tensor q = p.a / p.b;
    return where(off, q - 1.0, q);
  }
  Tensor exact = (p.a - r) / p.b;
  Tensor whole = round(where(off, exact - 1.0, exact));
  Tensor y = where(is_zero(whole), copysign(zero_of(whole), p.a / p.b), whole);
  return where(is_zero(p.b), p.a / p.b, y);
}

}  // namespace ds

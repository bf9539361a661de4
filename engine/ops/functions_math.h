// Rarer functions of elements; engine/ops/functions.h includes this.
#pragma once
#include "engine/lazy/tensor.h"

namespace ds {

// ---- one floating operand; f32 within 2 ulp
Tensor log1p(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor erfinv(const Tensor& x);
Tensor lgamma(const Tensor& x);
Tensor digamma(const Tensor& x);
Tensor i0(const Tensor& x);  // modified Bessel functions of order 0 and 1; the `e` ones are times exp(-|x|)
Tensor i0e(const Tensor& x);
Tensor i1(const Tensor& x);
Tensor i1e(const Tensor& x);
Tensor polygamma(int64_t n, const Tensor& x);  // the n-th derivative of digamma, n >= 0
Tensor sinc(const Tensor& x);                  // sin(pi x) / (pi x)
Tensor reciprocal(const Tensor& x);

// ---- one operand of any dtype
Tensor trunc(const Tensor& x);  // towards zero
Tensor isnan(const Tensor& x);  // bool, as the three below; false for integers
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);  // true for integers
Tensor signbit(const Tensor& x);   // -0 counts as negative, NaN does not

// ---- two floating operands; broadcast and promoted
Tensor atan2(const Tensor& y, const Tensor& x);
Tensor hypot(const Tensor& a, const Tensor& b);
Tensor logaddexp(const Tensor& a, const Tensor& b);
Tensor nextafter(const Tensor& a, const Tensor& b);  // float32, float64; no gradient
Tensor copysign(const Tensor& a, const Tensor& b);
Tensor xlogy(const Tensor& a, const Tensor& b);  // a log b, and 0 where a is 0 and b is not NaN
Tensor fmin(const Tensor& a, const Tensor& b);   // NaN only where both are
Tensor fmax(const Tensor& a, const Tensor& b);

// ---- two numbers of any dtype. By integer zero: 0.
Tensor fmod(const Tensor& a, const Tensor& b);          // of the sign of a, as C
Tensor remainder(const Tensor& a, const Tensor& b);     // of the sign of b, as Python's %
Tensor floor_divide(const Tensor& a, const Tensor& b);  // Python's //; no gradient

// ---- bits of integers, and bool but for shifts; no gradient
Tensor bitwise_and(const Tensor& a, const Tensor& b);
Tensor bitwise_or(const Tensor& a, const Tensor& b);
Tensor bitwise_xor(const Tensor& a, const Tensor& b);
Tensor bitwise_not(const Tensor& x);
Tensor shift_left(const Tensor& a, const Tensor& b);   // beyond the width, or by less than 0: every bit goes
Tensor shift_right(const Tensor& a, const Tensor& b);  // keeps the sign

}  // namespace ds

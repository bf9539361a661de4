// The rarer functions of scalar.h. Those that have a polynomial here are branch-free and within 2 ulp in f32; the
// others go through the f64 function, so that f32 results are right to the last bit or the one before it.
#pragma once
#include <cmath>

#include "kernels/scalar.h"

namespace ds::kernels::scalar {

inline constexpr double kPi = 3.141592653589793;

// ---- logarithms and powers: f32 by f64 arithmetic that vectorises
DS_HD double log_of(double x) {  // x comes from f32; NaN below 0
  return x < 0. ? __builtin_nan("") : log_for_pow(x);
}
DS_HD float log1p(float x) {
  double d = x;
  double near = d * fma(d, fma(d, 1. / 3., -0.5), 1.);
  double far = log_of(1. + d);
  return static_cast<float>(abs(x) < 0.000244140625f ? near : far);
}
DS_HD double log1p(double x) { return ::log1p(x); }
DS_HD float expm1(float x) {
  double d = x;
  double near = d * horner(d, 1., 0.5, 1. / 6., 1. / 24.);
  double far = exp_for_pow(d) - 1.;
  return abs(x) < 0.00390625f ? static_cast<float>(near) : (x > 89.f ? __builtin_inff() : static_cast<float>(far));
}
DS_HD double expm1(double x) { return ::expm1(x); }
DS_HD float exp2(float x) {
  float r = static_cast<float>(exp_for_pow(static_cast<double>(x) * 0.6931471805599453));
  return x > 128.f ? __builtin_inff() : r;
}
DS_HD double exp2(double x) { return ::exp2(x); }
DS_HD float log2(float x) { return static_cast<float>(log_of(x) * 1.4426950408889634); }
DS_HD double log2(double x) { return ::log2(x); }
DS_HD float log10(float x) { return static_cast<float>(log_of(x) * 0.43429448190325176); }
DS_HD double log10(double x) { return ::log10(x); }

// ---- trigonometric
DS_HD float tan(float x) { return static_cast<float>(::tan(static_cast<double>(x))); }
DS_HD double tan(double x) { return ::tan(x); }
// atan(p / q) for 0 <= p <= q, not both 0, to 2^-32: beyond tan(pi/8) the angle is taken from pi/4.
DS_HD double atan_ratio(double p, double q) {
  bool far = p > 0.4142135623730951 * q;
  double t = (far ? p - q : p) / (far ? p + q : q), z = t * t;
  double s = horner(z, 1., -1. / 3., 1. / 5., -1. / 7., 1. / 9., -1. / 11., 1. / 13., -1. / 15., 1. / 17., -1. / 19.,
                    1. / 21., -1. / 23.);
  return fma(t, s, far ? 0.7853981633974483 : 0.);
}
DS_HD double atan2_of_f32(double y, double x) {  // both come from f32
  double a = abs(y), b = abs(x);
  bool huge = a == __builtin_inf() && b == __builtin_inf();
  a = huge ? 1. : a, b = huge ? 1. : b;
  double p = a < b ? a : b, q = a < b ? b : a;
  double r = q == 0. ? 0. : (q == __builtin_inf() ? 0. : atan_ratio(p, q));
  r = a > b ? 1.5707963267948966 - r : r;
  r = (bit_cast<uint64_t>(x) >> 63) != 0 ? kPi - r : r;
  r = (x != x || y != y) ? __builtin_nan("") : r;
  return (bit_cast<uint64_t>(y) >> 63) != 0 ? -r : r;
}
DS_HD float atan2(float y, float x) {
  return static_cast<float>(atan2_of_f32(static_cast<double>(y), static_cast<double>(x)));
}
DS_HD double atan2(double y, double x) { return ::atan2(y, x); }
DS_HD float atan(float x) { return static_cast<float>(atan2_of_f32(static_cast<double>(x), 1.)); }
DS_HD double atan(double x) { return ::atan(x); }
DS_HD float asin(float x) {
  double d = x;
  return static_cast<float>(atan2_of_f32(d, sqrt((1. - d) * (1. + d))));
}
DS_HD double asin(double x) { return ::asin(x); }
DS_HD float acos(float x) {
  double d = x;
  return static_cast<float>(atan2_of_f32(sqrt((1. - d) * (1. + d)), d));
}
DS_HD double acos(double x) { return ::acos(x); }

// ---- hyperbolic
DS_HD float sinh(float x) {
  double d = x, z = d * d;
  double near = d * horner(z, 1., 1. / 6., 1. / 120., 1. / 5040.);
  double e = exp_for_pow(abs(d));
  float far = with_sign(static_cast<float>(0.5 * (e - 1. / e)), x);
  return abs(x) < 0.125f ? static_cast<float>(near) : far;
}
DS_HD double sinh(double x) { return ::sinh(x); }
DS_HD float cosh(float x) {
  double e = exp_for_pow(abs(static_cast<double>(x)));
  return static_cast<float>(0.5 * (e + 1. / e));
}
DS_HD double cosh(double x) { return ::cosh(x); }
DS_HD float asinh(float x) {
  double d = abs(static_cast<double>(x)), z = d * d;
  double near = d * horner(z, 1., -1. / 6., 3. / 40., -15. / 336., 105. / 3456.);
  double far = log_for_pow(d + sqrt(z + 1.));
  return with_sign(static_cast<float>(d < 0.015625 ? near : far), x);
}
DS_HD double asinh(double x) { return ::asinh(x); }
DS_HD float acosh(float x) {
  double d = x;
  return x < 1.f ? __builtin_nanf("") : static_cast<float>(log_for_pow(d + sqrt((d - 1.) * (d + 1.))));
}
DS_HD double acosh(double x) { return ::acosh(x); }
DS_HD float atanh(float x) {
  double d = abs(static_cast<double>(x)), z = d * d;
  double near = d * horner(z, 1., 1. / 3., 1. / 5., 1. / 7., 1. / 9.);
  double far = 0.5 * log_of((1. + d) / (1. - d));
  return with_sign(static_cast<float>(d < 0.03125 ? near : far), x);
}
DS_HD double atanh(double x) { return ::atanh(x); }
template <Float T>
DS_HD T hypot(T a, T b) {
  if constexpr (sizeof(T) == 8) return ::hypot(a, b);
  double x = a, y = b;
  bool huge = abs(a) == __builtin_inff() || abs(b) == __builtin_inff();
  return huge ? __builtin_inff() : static_cast<T>(sqrt(fma(x, x, y * y)));
}
// log(e^a + e^b)
template <Float T>
DS_HD T logaddexp(T a, T b) {
  T high = maximum(a, b), low = minimum(a, b);
  return high == low ? static_cast<T>(high + static_cast<T>(0.6931471805599453)) : high + log1p(exp(low - high));
}

// ---- error and gamma functions, Bessel functions: f64, and f32 by it
#define DS_BY_F64(name) \
  DS_HD float name(float x) { return static_cast<float>(name(static_cast<double>(x))); }
DS_HD double erfc(double x) { return ::erfc(x); }
DS_BY_F64(erfc)

// A start that is right to 2^-20 (Giles 2012), and two Halley steps on the side that does not cancel.
DS_HD double erfinv(double x) {
  double a = abs(x), rest = 1. - a;
  if (!(a < 1.)) return a == 1. ? x * __builtin_inf() : __builtin_nan("");
  double w = -log(rest * (1. + a));
  double y = w < 5. ? a * horner(w - 2.5, 1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087,
                                 -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08)
                    : a * horner(sqrt(w) - 3., 2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773,
                                 -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257);
  for (int i = 0; i < 2; ++i) {
    double off = a < 0.5 ? erf(y) - a : rest - erfc(y);
    double u = off / (1.1283791670955126 * exp(-y * y));
    y -= u / (1. + y * u);
  }
  return x < 0. ? -y : y;
}
DS_BY_F64(erfinv)

DS_HD double lgamma(double x) { return ::lgamma(x); }
DS_BY_F64(lgamma)

DS_HD double digamma(double x) {
  if (x == 0.) return 1. / -x;
  double reflected = 0.;
  if (x < 0.) {
    if (x == floor(x)) return __builtin_nan("");
    reflected = -kPi / ::tan(kPi * (x - floor(x)));
    x = 1. - x;
  }
  double shifted = 0.;
  for (; x < 10.; x += 1.) shifted -= 1. / x;
  double z = 1. / (x * x);
  double tail = z * horner(z, 1. / 12., -1. / 120., 1. / 252., -1. / 240., 1. / 132., -691. / 32760., 1. / 12.);
  return log(x) - 0.5 / x - tail + shifted + reflected;
}
DS_BY_F64(digamma)

// Hurwitz's zeta for s > 1, q > 0, by Euler and Maclaurin.
DS_HD double zeta(double s, double q) {
  constexpr double bernoulli[] = {1. / 12.,         -1. / 720.,     1. / 30240.,
                                  -1. / 1209600.,   1. / 47900160., -691. / 1307674368000.,
                                  1. / 74724249600.};  // B(2j) / (2j)!
  double sum = 0.;
  for (; q < s + 10.; q += 1.) sum += pow(q, -s);
  double p = pow(q, -s), z = 1. / (q * q), factor = s * p / q;
  sum += p * q / (s - 1.) + 0.5 * p;
  for (int j = 0; j < 7; ++j) {
    sum += bernoulli[j] * factor;
    factor *= (s + 2. * j + 1.) * (s + 2. * j + 2.) * z;
  }
  return sum;
}
// The n-th derivative of digamma; NaN for n > 1 below 0.
DS_HD double polygamma(double n, double x) {
  if (n == 0.) return digamma(x);
  if (x <= 0.) {
    if (x == floor(x)) return __builtin_inf();
    if (n != 1.) return __builtin_nan("");
    double s = ::sin(kPi * (x - floor(x)));
    return kPi * kPi / (s * s) - zeta(2., 1. - x);
  }
  double sign = n - 2. * floor(n * 0.5) == 1. ? 1. : -1.;
  return sign * ::tgamma(n + 1.) * zeta(n + 1., x);
}
DS_HD float polygamma(float n, float x) {
  return static_cast<float>(polygamma(static_cast<double>(n), static_cast<double>(x)));
}

// exp(-|x|) I_order(|x|), order 0 or 1: the power series, whose terms are all positive, then Hankel's expansion.
DS_HD double bessel_scaled(int order, double x) {
  double a = abs(x);
  if (a != a) return a;
  if (a > 30.) {
    double mu = 4. * order, term = 1., sum = 1.;
    for (int k = 1; k < 24; ++k) {
      double odd = 2. * k - 1.;
      term *= -(mu - odd * odd) / (8. * a * k);
      sum += term;
    }
    return sum / sqrt(2. * kPi * a);
  }
  double z = 0.25 * a * a, term = order ? 0.5 * a : 1., sum = term;
  for (int k = 1; term > sum * 1e-18; ++k) {
    term *= z / (static_cast<double>(k) * (k + order));
    sum += term;
  }
  return sum * exp(-a);
}
DS_HD double i0e(double x) { return bessel_scaled(0, x); }
DS_HD double i1e(double x) { return x < 0. ? -bessel_scaled(1, x) : bessel_scaled(1, x); }
DS_HD double i0(double x) {
  double half = exp(0.5 * abs(x));
  return half * bessel_scaled(0, x) * half;
}
DS_HD double i1(double x) {
  double half = exp(0.5 * abs(x));
  return half * i1e(x) * half;
}
DS_BY_F64(i0e)
DS_BY_F64(i1e)
DS_BY_F64(i0)
DS_BY_F64(i1)
#undef DS_BY_F64

// ---- remainders, bits
DS_HD double fmod(double a, double b) { return ::fmod(a, b); }
DS_HD float fmod(float a, float b) {
  return static_cast<float>(::fmod(static_cast<double>(a), static_cast<double>(b)));
}
template <Integer T>
DS_HD T fmod(T a, T b) {  // of the sign of a; by zero gives 0
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == T(-1)) return 0;
  }
  return static_cast<T>(a % b);
}
// The next number after a towards b.
template <Float T>
DS_HD T nextafter(T a, T b) {
  using Word = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  if (a != a || b != b) return a + b;
  if (a == b) return b;
  constexpr Word sign = Word{1} << (8 * sizeof(T) - 1);
  Word bits = bit_cast<Word>(a);
  if (a == T(0)) return bit_cast<T>(static_cast<Word>((bit_cast<Word>(b) & sign) | 1));
  return bit_cast<T>(static_cast<Word>((a < b) == (a > T(0)) ? bits + 1 : bits - 1));
}

#define DS_BITS(name, op)                                     \
  template <Integer T>                                        \
  DS_HD T name(T a, T b) {                                    \
    return static_cast<T>(wrap(a) op wrap(b));                \
  }                                                           \
  template <Bool T>                                           \
  DS_HD bool name(T a, T b) {                                 \
    return (static_cast<int>(a) op static_cast<int>(b)) != 0; \
  }
DS_BITS(bitwise_and, &)
DS_BITS(bitwise_or, |)
DS_BITS(bitwise_xor, ^)
#undef DS_BITS
// Shifts by less than 0 or by the width and more push every bit out.
template <Integer T>
DS_HD T shift_left(T a, T b) {
  if (b < 0 || static_cast<uint64_t>(b) >= 8 * sizeof(T)) return 0;
  return static_cast<T>(static_cast<uint64_t>(a) << static_cast<int>(b));
}
template <Integer T>
DS_HD T shift_right(T a, T b) {
  if (b < 0 || static_cast<uint64_t>(b) >= 8 * sizeof(T)) return a < 0 ? T(-1) : T(0);
  return static_cast<T>(a >> static_cast<int>(b));
}

}  // namespace ds::kernels::scalar

// The arithmetic of every elementwise instruction, once: the VM, the generated code and every backend include this
// file.
//
// The functions are branch-free so that block loops vectorise, and every a*b+c is an explicit fma, so that the bits do
// not depend on how a compiler contracts. f32 is within 2 ulp (tanh, sigmoid: 2.5); f64 uses the platform's libm.
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/dtype.h"

namespace ds::kernels::scalar {

template <class T>
concept Float = std::is_same_v<T, float> || std::is_same_v<T, double>;
template <class T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;
template <class T>
concept Bool = std::is_same_v<T, bool>;
template <class T>
inline constexpr bool is_complex = false;
template <class T>
inline constexpr bool is_complex<Complex<T>> = true;
template <class T>
concept Ordered = !is_complex<T>;

template <class To, class From>
DS_HD To bit_cast(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  __builtin_memcpy(&y, &x, sizeof y);
  return y;
}

DS_HD float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DS_HD double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

template <class T>
DS_HD T horner(T, T c) {
  return c;
}
// c + x*rest[0] + x^2*rest[1] + ...
template <class T, class... C>
DS_HD T horner(T x, T c, C... rest) {
  return fma(horner(x, rest...), x, c);
}

// Integers wrap; bool behaves as {0, 1} with every non-zero result 1.
template <class T>
DS_HD auto wrap(T x) {  // never narrower than unsigned, which a product of uint16 would overflow as int
  return static_cast<std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>>(x);
}

// bf16 and f16 values travel as f32; this is the rounding of a bf16 result (to nearest, ties to even; NaN stays NaN).
// round_f16 stands in dtype.h.
DS_HD float round_bf16(float x) {
  uint32_t u = bit_cast<uint32_t>(x);
  uint32_t r = (u + 0x7fff + ((u >> 16) & 1)) & 0xffff0000u;
  return bit_cast<float>(x != x ? ((u & 0xffff0000u) | 0x400000u) : r);
}

// ---- one operand ----
template <Float T>
DS_HD T neg(T x) {
  return -x;
}
template <Integer T>
DS_HD T neg(T x) {
  return static_cast<T>(0u - wrap(x));
}
template <Float T>
DS_HD T abs(T x) {
  if constexpr (sizeof(T) == 4) return __builtin_fabsf(x);
  return static_cast<T>(__builtin_fabs(x));
}
template <Integer T>
DS_HD T abs(T x) {
  if constexpr (std::is_unsigned_v<T>) return x;
  return x < 0 ? neg(x) : x;
}
// NaN gives 0, as PyTorch's does.
template <class T>
requires Float<T> || Integer<T> DS_HD T sign(T x) {
  return static_cast<T>(static_cast<T>(x > 0) - static_cast<T>(x < 0));
}

DS_HD float exp(float x) {
  float c = x < -104.f ? -104.f : x;
  c = c > 89.f ? 89.f : c;
  float t = fma(c, 1.4426950216293335f, 12582912.f);  // the low bits of t are round(x / ln 2)
  float n = t - 12582912.f;
  float r = fma(n, 1.9046542121259336e-09f, fma(n, -0.6931471824645996f, c));
  float p = horner(r, 0.4999999403953552f, 0.16666515171527863f, 0.04166848585009575f, 0.00836940947920084f,
                   0.0013811279786750674f);
  float y = fma(r * r, p, r) + 1.f;
  // 2^n in two factors, so that subnormal results round once and 2^128 is reached.
  int32_t i = static_cast<int32_t>(bit_cast<uint32_t>(t) - 0x4b400000u);
  int32_t h = i >> 1;
  float s = bit_cast<float>(static_cast<uint32_t>(h + 127) << 23);
  float u = bit_cast<float>(static_cast<uint32_t>(i - h + 127) << 23);
  return y * s * u;
}
DS_HD double exp(double x) { return __builtin_exp(x); }

DS_HD float log(float x) {
  constexpr float inf = __builtin_inff();
  bool tiny = x < 1.17549435e-38f;
  float scaled = tiny ? x * 8388608.f : x;
  uint32_t i = bit_cast<uint32_t>(scaled) - 0x3f3504f3u;  // so that the mantissa lies in [sqrt(1/2), sqrt(2))
  float e = static_cast<float>(static_cast<int32_t>(i) >> 23) - (tiny ? 23.f : 0.f);
  float f = bit_cast<float>((i & 0x7fffffu) + 0x3f3504f3u) - 1.f;
  float p = horner(f, 0.3333331346511841f, -0.25000008940696716f, 0.20002120733261108f, -0.16667971014976501f,
                   0.1421942114830017f, -0.12405823916196823f, 0.11889664828777313f, -0.11675652116537094f,
                   0.06743296980857849f);
  float f2 = f * f;
  float y = fma(e, 1.428606765330187e-06f, (f2 * f) * p);
  float r = fma(e, 0.693145751953125f, fma(f2, -0.5f, y) + f);
  r = x == inf ? x : r;
  r = x == 0.f ? -inf : r;
  return x >= 0.f ? r : __builtin_nanf("");
}
DS_HD double log(double x) { return __builtin_log(x); }

DS_HD float sqrt(float x) { return __builtin_sqrtf(x); }
DS_HD double sqrt(double x) { return __builtin_sqrt(x); }
template <Float T>
DS_HD T rsqrt(T x) {
  return T(1) / sqrt(x);
}

// x = quadrant * pi/2 + rest, |rest| <= pi/4, for every finite f32.
struct Reduced {
  float rest;
  uint32_t quadrant;
};
DS_HD Reduced reduce_pi_2(double p, double tail) {  // p + tail, |p| < 2^36
  double t = fma(p, 0.6366197723675814, 6755399441055744.0);
  double n = t - 6755399441055744.0;
  double r = fma(n, -6.123233995736766e-17, fma(n, -1.5707963267948966, p)) + tail;
  return {static_cast<float>(r), static_cast<uint32_t>(bit_cast<uint64_t>(t))};
}
// |x| < 2^32: no table, so that loops vectorise. reduce gives the same bits there.
inline constexpr float kNear = 4294967296.f;
DS_HD Reduced reduce_near(float x) { return reduce_pi_2(static_cast<double>(x), 0.0); }
// Huge x are folded by 2^(8k) mod 2 pi first.
DS_HD Reduced reduce(float x) {
  constexpr double high[14] = {1.0,
                               -1.6105975943630455,
                               2.377246116913046,
                               -0.8939688666801969,
                               -2.661358811665301,
                               -2.723842610921788,
                               0.12986070095632937,
                               1.8284129089223877,
                               3.1179919528418854,
                               0.24140591571517903,
                               -1.0319386487100328,
                               -0.2825111682257627,
                               3.0753646203597835,
                               1.895179414656241};
  constexpr double low[14] = {0.0,
                              -5.009653138188719e-17,
                              -2.120879638185595e-16,
                              -3.988009861375488e-18,
                              -1.9707934795230919e-16,
                              -1.9124882304940104e-17,
                              3.4618516565559846e-18,
                              1.0567643478104146e-16,
                              4.661047956453333e-17,
                              5.356820577341173e-18,
                              3.2275494129790613e-17,
                              8.835098824050243e-18,
                              -1.2813290129024176e-16,
                              8.656429957323569e-17};
  int32_t e = static_cast<int32_t>((bit_cast<uint32_t>(x) >> 23) & 0xff) - 127;
  int32_t beyond = e - 24, k = (beyond & ~(beyond >> 31)) >> 3;
  double m = static_cast<double>(x * bit_cast<float>(static_cast<uint32_t>(127 - 8 * k) << 23));
  double p = m * high[k];
  double tail = fma(m, low[k], fma(m, high[k], -p));
  return reduce_pi_2(p, tail);
}
DS_HD float sin_or_cos(Reduced q, uint32_t shift) {
  float z = q.rest * q.rest;
  float s = fma(
      q.rest * z,
      horner(z, -0.1666666716337204f, 0.008333329111337662f, -0.00019839157175738364f, 2.716667950153351e-06f), q.rest);
  float c =
      fma(z * z, horner(z, 0.04166664183139801f, -0.0013887184904888272f, 2.4418244720436633e-05f), fma(z, -0.5f, 1.f));
  uint32_t n = q.quadrant + shift;
  uint32_t odd = 0u - (n & 1);
  uint32_t y = (bit_cast<uint32_t>(c) & odd) | (bit_cast<uint32_t>(s) & ~odd);
  return bit_cast<float>(y ^ ((n & 2) << 30));
}
DS_HD float sin_of(Reduced q, float x) {  // of |x|; odd: -0 stays
  return bit_cast<float>(bit_cast<uint32_t>(sin_or_cos(q, 0)) ^ (bit_cast<uint32_t>(x) & 0x80000000u));
}
DS_HD float sin_near(float x) { return sin_of(reduce_near(abs(x)), x); }
DS_HD float cos_near(float x) { return sin_or_cos(reduce_near(abs(x)), 1); }
DS_HD float sin(float x) { return sin_of(reduce(abs(x)), x); }
DS_HD float cos(float x) { return sin_or_cos(reduce(abs(x)), 1); }
DS_HD double sin(double x) { return __builtin_sin(x); }
DS_HD double cos(double x) { return __builtin_cos(x); }

// A result of |x| with the sign of x, -0 too.
DS_HD float with_sign(float y, float x) {
  return bit_cast<float>(bit_cast<uint32_t>(y) | (bit_cast<uint32_t>(x) & 0x80000000u));
}

DS_HD float tanh(float x) {
  float a = abs(x), z = x * x;
  float p = horner(z, -0.3333325982093811f, 0.13330838084220886f, -0.053688641637563705f, 0.020471373572945595f,
                   -0.005517255514860153f);
  float near = fma(a * z, p, a);
  float far = 1.f - 2.f / (exp(a + a) + 1.f);
  return with_sign(a < 0.625f ? near : far, x);
}
DS_HD double tanh(double x) { return __builtin_tanh(x); }

template <Float T>
DS_HD T sigmoid(T x) {
  T e = exp(-abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

DS_HD float erf(float x) {
  float a = abs(x), z = x * x;
  float p = horner(z, 0.12837916612625122f, -0.3761262595653534f, 0.11283586174249649f, -0.026853835210204124f,
                   0.005188365466892719f, -0.0008010505698621273f, 7.854906289139763e-05f);
  float near = fma(a, p, a);
  float b = a > 4.f ? 4.f : a;
  float q = horner(b, -0.0001875150774139911f, 1.1295758485794067f, 0.6332250833511353f, 0.10841277241706848f,
                   -0.025204457342624664f, 0.00420309929177165f, -0.00044102990068495274f, 2.165989462810103e-05f);
  float far = 1.f - exp(-q);
  return with_sign(a < 1.f ? near : far, x);
}
DS_HD double erf(double x) { return __builtin_erf(x); }

DS_HD float floor(float x) { return __builtin_floorf(x); }
DS_HD double floor(double x) { return __builtin_floor(x); }
DS_HD float ceil(float x) { return __builtin_ceilf(x); }
DS_HD double ceil(double x) { return __builtin_ceil(x); }
DS_HD float round(float x) { return __builtin_rintf(x); }
DS_HD double round(double x) { return __builtin_rint(x); }
template <Integer T>
DS_HD T floor(T x) {
  return x;
}
template <Integer T>
DS_HD T ceil(T x) {
  return x;
}
template <Integer T>
DS_HD T round(T x) {
  return x;
}
template <class T>
requires Float<T> || Integer<T> DS_HD T relu(T x) {
  return x < T(0) ? T(0) : x;  // NaN stays
}
template <Bool T>
DS_HD bool logical_not(T x) {
  return !x;
}

// ---- two operands ----
#define DS_ARITHMETIC(name, op)                               \
  template <Float T>                                          \
  DS_HD T name(T a, T b) {                                    \
    return a op b;                                            \
  }                                                           \
  template <Integer T>                                        \
  DS_HD T name(T a, T b) {                                    \
    return static_cast<T>(wrap(a) op wrap(b));                \
  }                                                           \
  template <Bool T>                                           \
  DS_HD bool name(T a, T b) {                                 \
    return (static_cast<int>(a) op static_cast<int>(b)) != 0; \
  }
DS_ARITHMETIC(add, +)
DS_ARITHMETIC(sub, -)
DS_ARITHMETIC(mul, *)
#undef DS_ARITHMETIC

template <Float T>
DS_HD T div(T a, T b) {
  return a / b;
}
template <Integer T>
DS_HD T div(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == T(-1)) return neg(a);
  }
  return static_cast<T>(a / b);
}

// exp and log in f64 to about 2^-39, enough for a pow of f32 that is right to 1 ulp.
DS_HD double exp_for_pow(double x) {
  double c = x < -120. ? -120. : x;
  c = c > 100. ? 100. : c;
  double t = fma(c, 1.4426950408889634, 6755399441055744.0);
  double n = t - 6755399441055744.0;
  double r = fma(n, -2.3190468138462996e-17, fma(n, -0.6931471805599453, c));
  double p = horner(r, 0.5000000000455153, 0.16666666791694595, 0.04166666430405231, 0.008333279733308612,
                    0.00138892051562991, 0.00019910280744562907, 2.4707892558823135e-05);
  uint64_t scale = (bit_cast<uint64_t>(t) + 1023) << 52;
  return (fma(r * r, p, r) + 1.) * bit_cast<double>(scale);
}
DS_HD double log_for_pow(double x) {  // x is |f32|: never subnormal
  constexpr double inf = __builtin_inf();
  constexpr uint64_t root_half = 0x3fe6a09e667f3bcdull;
  uint64_t i = bit_cast<uint64_t>(x) - root_half + (uint64_t{1023} << 52);
  double e = bit_cast<double>(0x4330000000000000ull | (i >> 52)) - (4503599627370496.0 + 1023.0);
  double m = bit_cast<double>((i & 0xfffffffffffffull) + root_half);
  double s = (m - 1.) / (m + 1.), z = s * s;
  double p = horner(z, 0.6666666666658674, 0.4000000005267083, 0.28571417046452746, 0.22223378649501135,
                    0.18123391105647477, 0.16823095326510581);
  double r = fma(e, 0.6931471805599453, fma(s * z, p, s + s));
  r = x == inf ? x : r;
  return x == 0. ? -inf : (x != x ? x : r);
}
DS_HD float pow(float x, float y) {
  constexpr float inf = __builtin_inff();
  float a = abs(x), half = y * 0.5f;
  float r = static_cast<float>(exp_for_pow(static_cast<double>(y) * log_for_pow(static_cast<double>(a))));
  bool whole = floor(y) == y, odd = whole && floor(half) != half;
  uint32_t negative = odd ? bit_cast<uint32_t>(x) & 0x80000000u : 0u;
  r = bit_cast<float>(bit_cast<uint32_t>(r) | negative);
  r = (x < 0.f && x != -inf && !whole) ? __builtin_nanf("") : r;
  bool one = x == 1.f || y == 0.f || (a == 1.f && abs(y) == inf);
  return one ? 1.f : r;
}
DS_HD double pow(double x, double y) { return __builtin_pow(x, y); }
template <Integer T>
DS_HD T pow(T x, T y) {  // a negative power is the truncated quotient: 0, or 1 and -1 for their own
  if (std::is_signed_v<T> && y < T(0)) return x == 1 ? T(1) : (x == T(-1) ? (y & 1 ? T(-1) : T(1)) : T(0));
  T r = 1;
  for (; y != 0; y = static_cast<T>(y >> 1)) {
    if (y & 1) r = static_cast<T>(static_cast<uint64_t>(r) * static_cast<uint64_t>(x));
    x = static_cast<T>(static_cast<uint64_t>(x) * static_cast<uint64_t>(x));
  }
  return r;
}

// NaN propagates.
template <Ordered T>
DS_HD T maximum(T a, T b) {
  if constexpr (Float<T>) return (a > b || a != a) ? a : b;
  return a > b ? a : b;
}
template <Ordered T>
DS_HD T minimum(T a, T b) {
  if constexpr (Float<T>) return (a < b || a != a) ? a : b;
  return a < b ? a : b;
}

template <Ordered T>
DS_HD bool less(T a, T b) {
  return a < b;
}
template <Ordered T>
DS_HD bool less_equal(T a, T b) {
  return a <= b;
}
template <class T>
DS_HD bool equal(T a, T b) {
  return a == b;
}
template <class T>
DS_HD bool not_equal(T a, T b) {
  return a != b;
}
template <Bool T>
DS_HD bool logical_and(T a, T b) {
  return a & b;
}
template <Bool T>
DS_HD bool logical_or(T a, T b) {
  return a | b;
}

// ---- three operands, and the conversion ----
template <class T>
DS_HD T where(bool c, T a, T b) {
  return c ? a : b;
}

// Truncates towards zero; what does not fit is whatever the hardware makes of it, but negative floats wrap around in
// unsigned types; bool is != 0; the imaginary part is dropped.
template <class To, class From>
DS_HD To cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (is_complex<From> && is_complex<To>) {
    return {static_cast<decltype(To::re)>(x.re), static_cast<decltype(To::re)>(x.im)};
  } else if constexpr (is_complex<From>) {
    return cast<To>(x.re);
  } else if constexpr (is_complex<To>) {
    return {cast<decltype(To::re)>(x), 0};
  } else if constexpr (Float<From> && Integer<To> && sizeof(To) < 4) {
    return static_cast<To>(static_cast<int32_t>(x));
  } else if constexpr (Float<From> && std::is_same_v<To, uint32_t>) {
    return static_cast<uint32_t>(static_cast<int64_t>(x));
  } else if constexpr (Float<From> && std::is_same_v<To, uint64_t>) {
    constexpr From half = From(9223372036854775808.0);
    bool high = x >= half;
    return static_cast<uint64_t>(static_cast<int64_t>(high ? x - half : x)) ^ (uint64_t{high} << 63);
  } else {
    return static_cast<To>(x);
  }
}

// ---- one element of an AdamW step (kernels/table.h) ----
template <Float T>
struct AdamWFactors {
  T beta1, one_less1, beta2, one_less2, eps, rate, scale, decay;
};
template <Float T>
DS_HD void adamw(const AdamWFactors<T>& f, T& p, T& m, T& v, T g) {
  m = fma(f.beta1, m, f.one_less1 * g);
  v = fma(f.beta2, v, f.one_less2 * g * g);
  p = fma(f.decay, p, -(f.rate * m / fma(sqrt(v), f.scale, f.eps)));
}

// ---- complex elements. Products and quotients are written as NumPy computes them, so that a product commutes and
// z conj(z) is real; functions of complex64 are those of complex128, rounded ----
template <class T>
DS_HD Complex<T> complex(T re, T im) requires Float<T> {
  return {re, im};
}
template <class T>
DS_HD T real(Complex<T> z) {
  return z.re;
}
template <class T>
DS_HD T imag(Complex<T> z) {
  return z.im;
}
template <class T>
DS_HD Complex<T> conj(Complex<T> z) {
  return {z.re, -z.im};
}
template <class T>
DS_HD Complex<T> neg(Complex<T> z) {
  return {-z.re, -z.im};
}
template <class T>
DS_HD Complex<T> add(Complex<T> a, Complex<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
DS_HD Complex<T> sub(Complex<T> a, Complex<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class T>
DS_HD T product(T a, T b) {
  return DS_ROUNDED(a * b);
}
template <class T>
DS_HD Complex<T> mul(Complex<T> a, Complex<T> b) {
  return {product(a.re, b.re) - product(a.im, b.im), product(a.re, b.im) + product(a.im, b.re)};
}
// Smith: the larger part of the divisor is divided out first, so that nothing overflows on the way.
template <class T>
DS_HD Complex<T> div(Complex<T> a, Complex<T> b) {
  bool turn = abs(b.re) < abs(b.im);
  T large = turn ? b.im : b.re, small = turn ? b.re : b.im;
  T p = turn ? a.im : a.re, q = turn ? a.re : a.im;
  if (large == T(0)) return {a.re / abs(b.re), a.im / abs(b.re)};
  T r = small / large, d = large + product(small, r), pr = product(p, r);
  T im = turn ? pr - q : q - pr;
  return {(p + product(q, r)) / d, im / d};
}

DS_HD double abs(Complex<double> z) { return __builtin_hypot(z.re, z.im); }
DS_HD float abs(Complex<float> z) {
  return static_cast<float>(__builtin_hypot(static_cast<double>(z.re), static_cast<double>(z.im)));
}
DS_HD double angle(Complex<double> z) { return __builtin_atan2(z.im, z.re); }
// z / |z|; 0 stays.
DS_HD Complex<double> sign(Complex<double> z) {
  double a = abs(z);
  return a == 0 ? Complex<double>(0, 0) : Complex<double>(z.re / a, z.im / a);
}

DS_HD bool is_finite(double x) { return x - x == 0; }
// r (cos t + i sin t); an angle of 0 gives no NaN beside an infinite r.
DS_HD Complex<double> polar(double r, double t) { return {r * __builtin_cos(t), t == 0 ? t : r * __builtin_sin(t)}; }
DS_HD Complex<double> exp(Complex<double> z) {
  constexpr double inf = __builtin_inf();
  if (z.re == -inf && !is_finite(z.im)) return {0, 0};
  if (z.re == inf && !is_finite(z.im)) return {inf, __builtin_nan("")};
  if (z.re > 709) {  // e^re alone may overflow
    Complex<double> y = polar(exp(z.re - 709), z.im);
    return {y.re * 8.218407461554972e307, y.im * 8.218407461554972e307};
  }
  return polar(exp(z.re), z.im);
}
DS_HD Complex<double> log(Complex<double> z) {
  double x = abs(z.re), y = abs(z.im), m = x < y ? y : x, n = x < y ? x : y;
  bool near = m > 0.5 && m < 1.5 && n < 1.5;  // where |z| may be about 1 and its logarithm about 0
  double r = near ? 0.5 * __builtin_log1p((m - 1) * (m + 1) + n * n) : log(abs(z));
  return {r, angle(z)};
}
DS_HD Complex<double> sqrt(Complex<double> z) {
  constexpr double inf = __builtin_inf();
  if (z.re == 0 && z.im == 0) return {0, z.im};
  if (abs(z.im) == inf) return {inf, z.im};
  double scale = abs(z.re) > 1e300 || abs(z.im) > 1e300 ? 0.25 : 1;  // so that the modulus does not overflow
  if (abs(z.re) < 1e-290 && abs(z.im) < 1e-290) scale = 0x1p200;
  double x = z.re * scale, y = z.im * scale, back = scale == 1 ? 1 : scale == 0.25 ? 2 : 0x1p-100;
  double t = sqrt(0.5 * (abs(x) + __builtin_hypot(x, y)));
  double other = z.im == 0 ? z.im : y / (2 * t) * back;
  t *= back;
  if (z.re >= 0) return {t, other};
  return {abs(other), __builtin_copysign(t, z.im)};
}
DS_HD Complex<double> sin(Complex<double> z) {
  return {z.re == 0 ? z.re : sin(z.re) * __builtin_cosh(z.im), z.im == 0 ? z.im : cos(z.re) * __builtin_sinh(z.im)};
}
DS_HD Complex<double> cos(Complex<double> z) {
  double s = sin(z.re), im = z.im == 0   ? z.im * __builtin_copysign(1, s)
                             : z.re == 0 ? z.re * __builtin_copysign(1, z.im)
                                         : s * __builtin_sinh(z.im);
  return {cos(z.re) * __builtin_cosh(z.im), -im};
}
// Kahan's, which neither overflows nor cancels.
DS_HD Complex<double> tanh(Complex<double> z) {
  if (abs(z.re) > 22) {
    double tiny = is_finite(z.im) ? 4 * sin(z.im) * cos(z.im) * exp(-2 * abs(z.re)) : 0;
    return {__builtin_copysign(1, z.re), tiny};
  }
  double t = __builtin_tan(z.im), b = 1 + t * t, s = __builtin_sinh(z.re), rho = sqrt(1 + s * s);
  double d = 1 + b * s * s;
  return {b * rho * s / d, t / d};
}
DS_HD Complex<double> sigmoid(Complex<double> z) {
  if (z.re >= 0) return div(Complex<double>(1, 0), add(Complex<double>(1, 0), exp(neg(z))));
  Complex<double> e = exp(z);
  return div(e, add(Complex<double>(1, 0), e));
}
DS_HD Complex<double> rsqrt(Complex<double> z) { return div(Complex<double>(1, 0), sqrt(z)); }
DS_HD Complex<double> pow(Complex<double> z, Complex<double> w) {
  if (w.re == 0 && w.im == 0) return {1, 0};
  if (z.re == 0 && z.im == 0 && w.re > 0) return {0, 0};
  if (w.im == 0 && w.re == floor(w.re) && abs(w.re) <= 64) {  // small whole powers by products, as exact as they are
    Complex<double> r(1, 0);
    for (int n = static_cast<int>(abs(w.re)); n != 0; n >>= 1) {
      if (n & 1) r = mul(r, z);
      z = mul(z, z);
    }
    return w.re < 0 ? div(Complex<double>(1, 0), r) : r;
  }
  return exp(mul(w, log(z)));
}

DS_HD Complex<double> widen(Complex<float> z) { return {static_cast<double>(z.re), static_cast<double>(z.im)}; }
DS_HD Complex<float> narrow(Complex<double> z) { return {static_cast<float>(z.re), static_cast<float>(z.im)}; }
#define DS_IN_DOUBLE(name) \
  DS_HD Complex<float> name(Complex<float> z) { return narrow(name(widen(z))); }
DS_IN_DOUBLE(sign)
DS_IN_DOUBLE(exp)
DS_IN_DOUBLE(log)
DS_IN_DOUBLE(sqrt)
DS_IN_DOUBLE(rsqrt)
DS_IN_DOUBLE(sin)
DS_IN_DOUBLE(cos)
DS_IN_DOUBLE(tanh)
DS_IN_DOUBLE(sigmoid)
#undef DS_IN_DOUBLE
DS_HD float angle(Complex<float> z) { return static_cast<float>(angle(widen(z))); }
DS_HD Complex<float> pow(Complex<float> z, Complex<float> w) { return narrow(pow(widen(z), widen(w))); }

}  // namespace ds::kernels::scalar

#include "kernels/scalar_random.h"
#include "kernels/scalar_special.h"

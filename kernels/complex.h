// The arithmetic of complex elements; kernels/scalar.h includes this. Products and quotients are written as NumPy
// computes them, so that a product commutes and z conj(z) is real; functions of complex64 are those of complex128,
// rounded.
#pragma once
#include "kernels/scalar.h"

namespace ds::kernels::scalar {

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

// Typed buffers seen as doubles, and the check every kernel gets: threads 1, 2 and 3 give the same bits.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "tests/kernels/test_context.h"

namespace ds::kernels {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline const std::vector<DType> kAllTypes = {
#define X(e, c, n) DType::e,
    DS_DTYPES(X)
#undef X
};
inline const std::vector<DType> kFloats = {DType::f32, DType::f64, DType::bf16, DType::f16};
inline std::vector<DType> ordered_types() {
  std::vector<DType> types = kAllTypes;
  std::erase_if(types, is_complex);
  return types;
}

class Array {
 public:
  Array(DType type, size_t n) : type_(type), n_(n), bytes_(n * size_of(type) + kGuard, 0xab) {}
  Array(DType type, const std::vector<double>& values) : Array(type, values.size()) {
    for (size_t i = 0; i < n_; ++i) set(i, values[i]);
  }

  DType type() const { return type_; }
  size_t size() const { return n_; }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  // What lies in the n elements, bit for bit; guard() is what lies behind them.
  std::string bits() const { return std::string(reinterpret_cast<const char*>(bytes_.data()), n_ * size_of(type_)); }
  bool guard() const {
    for (size_t i = n_ * size_of(type_); i < bytes_.size(); ++i) {
      if (bytes_[i] != 0xab) return false;
    }
    return true;
  }

  double operator[](size_t i) const {
    switch (type_) {
#define X(e, c, n)                                             \
  case DType::e: {                                             \
    c x;                                                       \
    std::memcpy(&x, bytes_.data() + i * sizeof(c), sizeof(c)); \
    return to_double(x);                                       \
  }
      DS_DTYPES(X)
#undef X
    }
    return 0;
  }
  void set(size_t i, double v) {
    switch (type_) {
#define X(e, c, n)                                             \
  case DType::e: {                                             \
    c x = from_double<c>(v);                                   \
    std::memcpy(bytes_.data() + i * sizeof(c), &x, sizeof(c)); \
    break;                                                     \
  }
      DS_DTYPES(X)
#undef X
    }
  }

  // A complex element; a set() without an imaginary part gives 0, and [] reads the real part.
  std::complex<double> complex(size_t i) const {
    double part[2] = {(*this)[i], 0};
    if (type_ == DType::c128) std::memcpy(part, bytes_.data() + i * sizeof part, sizeof part);
    if (type_ == DType::c64) {
      float z[2];
      std::memcpy(z, bytes_.data() + i * sizeof z, sizeof z);
      part[1] = static_cast<double>(z[1]);
    }
    return {part[0], part[1]};
  }
  void set(size_t i, std::complex<double> z) {
    if (type_ == DType::c128) return static_cast<void>(std::memcpy(bytes_.data() + i * sizeof z, &z, sizeof z));
    std::complex<float> narrow(z);
    std::memcpy(bytes_.data() + i * sizeof narrow, &narrow, sizeof narrow);
  }

  // Few enough that a vector read from the last element is caught by the address sanitizer.
  static constexpr size_t kGuard = 3;

 private:
  template <class T>
  static double to_double(T x) {
    if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>) {
      return static_cast<double>(static_cast<float>(x));
    } else if constexpr (requires { x.re; }) {
      return static_cast<double>(x.re);
    } else {
      return static_cast<double>(x);
    }
  }
  template <class T>
  static T from_double(double v) {
    if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>) {
      return T(static_cast<float>(v));
    } else if constexpr (requires(T x) { x.re; }) {
      return T(static_cast<decltype(T::re)>(v));
    } else if constexpr (std::is_same_v<T, bool>) {
      return v != 0;
    } else if constexpr (std::is_integral_v<T> && sizeof(T) < 8) {
      return static_cast<T>(static_cast<int64_t>(v));  // wraps around
    } else {
      return static_cast<T>(v);
    }
  }

  DType type_;
  size_t n_;
  std::vector<unsigned char> bytes_;
};

// v as the type stores it: rounded, wrapped around, or as truth.
inline double stored(DType type, double v) { return Array(type, std::vector<double>{v})[0]; }

// Values that every type holds exactly enough: small for integers, 0 or 1 for bool, complex numbers on the real line.
inline Array random_array(DType type, int64_t n, unsigned seed, double low = -2, double high = 2) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> real(low, high);
  Array a(type, static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    double v = real(rng);
    if (is_integer(type)) v *= 4;
    if (is_integer(type) && !is_signed(type)) v = std::fabs(v);
    if (type == DType::boolean) v = v > 0;
    a.set(static_cast<size_t>(i), v);
  }
  return a;
}

inline Array random_complex_array(DType type, int64_t n, unsigned seed, double low = -2, double high = 2) {
  Array re = random_array(DType::f64, n, seed, low, high), im = random_array(DType::f64, n, seed + 1000, low, high);
  Array a(type, static_cast<size_t>(n));
  for (size_t i = 0; i < a.size(); ++i) a.set(i, {re[i], im[i]});
  return a;
}
// Of any dtype, off the real line where that is possible.
inline Array random_any_array(DType type, int64_t n, unsigned seed, double low = -2, double high = 2) {
  return is_complex(type) ? random_complex_array(type, n, seed, low, high) : random_array(type, n, seed, low, high);
}

inline Array int_array(const std::vector<int64_t>& v) {
  Array a(DType::i64, v.size());
  if (!v.empty()) std::memcpy(a.data(), v.data(), v.size() * 8);
  return a;
}
inline const int64_t* ints(const Array& a) { return static_cast<const int64_t*>(a.data()); }

// Relative to the magnitude of what was summed or computed.
inline double tolerance(DType t) {
  if (real_of(t) == DType::f64) return 1e-12;
  if (t == DType::f16) return 1.0 / 1024;
  return t == DType::bf16 ? 1.0 / 128 : 2e-6;
}

inline void expect_near(const Array& got, const std::vector<double>& want, double scale, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  ASSERT_TRUE(got.guard()) << what << " wrote behind its output";
  double limit = is_inexact(got.type()) ? tolerance(got.type()) * scale : 0;
  for (size_t i = 0; i < want.size(); ++i) {
    double g = got[i], w = want[i];
    if (std::isnan(w) || std::isinf(w)) {
      ASSERT_TRUE(std::isnan(w) ? std::isnan(g) : g == w) << what << " element " << i << ": got " << g << ", not " << w;
    } else {
      ASSERT_LE(std::fabs(g - w), limit * std::max(1.0, std::fabs(w)))
          << what << " element " << i << ": got " << g << ", not " << w;
    }
  }
}

// Runs make(context) with 1, 2 and 3 threads; it gives the outputs, which must be the same bits. Returns the first's.
inline std::vector<Array> on_threads(const std::function<std::vector<Array>(Context&)>& make) {
  TestContext one(1);
  std::vector<Array> first = make(one);
  for (int threads : {2, 3}) {
    TestContext ctx(threads);
    std::vector<Array> other = make(ctx);
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(first[i].bits(), other[i].bits()) << "output " << i << " differs with " << threads << " threads";
      EXPECT_TRUE(other[i].guard()) << "wrote behind output " << i;
    }
  }
  return first;
}

}  // namespace ds::kernels

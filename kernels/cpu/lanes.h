// The fixed tree of every reduction over a contiguous run: element i goes to lane i % kLanes of its chunk, the lanes
// are folded by halves, and chunk c's result goes to lane c % kLanes of a last fold. It depends on the length alone.
#pragma once
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {

inline constexpr int kLanes = 32;
inline constexpr int64_t kChunk = 8192;

template <class T, int bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};
template <class T>
using Vec = typename VectorOf<T, 32>::type;
template <class T>
inline constexpr int kWidth = 32 / sizeof(T);

// X is a scalar or a Vec of Compute<T>; reads it from p, which need not be aligned.
template <class X, class T>
inline X load_as(const T* p) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    if constexpr (std::is_same_v<X, float>) {
      return load(*p);
    } else {
      typename VectorOf<uint16_t, 16>::type half;
      __builtin_memcpy(&half, p, sizeof half);
      return reinterpret_cast<X>(__builtin_convertvector(half, Vec<uint32_t>) << 16);
    }
  } else if constexpr (std::is_same_v<T, float16>) {
    if constexpr (std::is_same_v<X, float>) {
      return load(*p);
    } else {
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
  } else {
    X x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
}

// The operations, on scalars and vectors alike.
template <class T>
struct Sum {
  static constexpr T identity = T(0);
  template <class X>
  X operator()(X a, X b) const {
    if constexpr (scalar::is_complex<X>) {
      return scalar::add(a, b);
    } else {
      return static_cast<X>(a + b);
    }
  }
};
template <class T>
struct Product {
  static constexpr T identity = T(1);
  template <class X>
  X operator()(X a, X b) const {
    if constexpr (scalar::is_complex<X> || scalar::Integer<X>) {
      return scalar::mul(a, b);
    } else {
      return static_cast<X>(a * b);
    }
  }
};
template <class T>
struct Max {
  static constexpr T identity =
      scalar::Float<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  template <class X>
  X operator()(X a, X b) const {  // a NaN stays
    if constexpr (scalar::Float<T>) {
      return ((a > b) | (a != a)) ? a : b;
    } else {
      return a > b ? a : b;
    }
  }
};
template <class T>
struct Min {
  static constexpr T identity = scalar::Float<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  template <class X>
  X operator()(X a, X b) const {
    if constexpr (scalar::Float<T>) {
      return ((a < b) | (a != a)) ? a : b;
    } else {
      return a < b ? a : b;
    }
  }
};

template <class T, class Op>
inline T fold_lanes(T* lane, Op op) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = op(lane[l], lane[l + half]);
  }
  return lane[0];
}

// One chunk. get.operator()<X>(i) gives elements i, i + 1, ... as an X: T, or a Vec of it.
template <class T, class Get, class Op>
__attribute__((noinline)) T reduce_chunk(int64_t n, const Get& get, Op op) {
  constexpr int width = kWidth<T>, vectors = kLanes / width;
  alignas(64) T lane[kLanes];
  std::fill_n(lane, kLanes, Op::identity);
  int64_t i = 0;
  if (n >= kLanes) {
    Vec<T> acc[vectors];
    for (int v = 0; v < vectors; ++v) acc[v] = get.template operator()<Vec<T>>(v * width);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) acc[v] = op(acc[v], get.template operator()<Vec<T>>(i + v * width));
    }
    __builtin_memcpy(lane, acc, sizeof lane);
  }
  for (int l = 0; i + l < n; ++l) lane[l] = op(lane[l], get.template operator()<T>(i + l));
  return fold_lanes(lane, op);
}

template <class T, class Get, class Op>
T reduce_run(int64_t n, const Get& get, Op op) {
  if (n <= kChunk) return reduce_chunk<T>(n, get, op);
  alignas(64) T lane[kLanes];
  std::fill_n(lane, kLanes, Op::identity);
  for (int64_t c = 0; c * kChunk < n; ++c) {
    int64_t base = c * kChunk;
    auto part = [&]<class X>(int64_t i) { return get.template operator()<X>(base + i); };
    lane[c % kLanes] = op(lane[c % kLanes], reduce_chunk<T>(std::min(kChunk, n - base), part, op));
  }
  return fold_lanes(lane, op);
}

// Over contiguous memory of T, in Compute<T>; one copy of each, for the compiler's sake.
template <class Op, class T>
__attribute__((noinline)) Compute<T> reduce_array(int64_t n, const T* x) {
  auto get = [x]<class X>(int64_t i) { return load_as<X>(x + i); };
  return reduce_run<Compute<T>>(n, get, Op());
}
template <class T>
inline Compute<T> sum_array(int64_t n, const T* x) {
  return reduce_array<Sum<Compute<T>>>(n, x);
}
template <class T>
inline Compute<T> max_array(int64_t n, const T* x) {
  return reduce_array<Max<Compute<T>>>(n, x);
}
template <class T>
inline Compute<T> min_array(int64_t n, const T* x) {
  return reduce_array<Min<Compute<T>>>(n, x);
}
template <class T>
__attribute__((noinline)) Compute<T> dot_arrays(int64_t n, const T* x, const T* y) {
  auto get = [x, y]<class X>(int64_t i) { return load_as<X>(x + i) * load_as<X>(y + i); };
  return reduce_run<Compute<T>>(n, get, Sum<Compute<T>>());
}

}  // namespace ds::kernels::cpu_detail

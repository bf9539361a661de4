// What the kernels of this folder share: the walk over types, element access, 32-bit division, folds of a block.
//
// Grids and the order of every sum follow from the extents alone, so results are the same bits on every run.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "kernels/cuda/launch.h"
#include "kernels/scalar.h"
#include "kernels/table.h"

namespace ds::kernels::cuda_detail {

inline constexpr unsigned kBlock = 256;

template <class T>
struct Tag {
  using type = T;
};

// What T is computed in, and how it is read and written.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>, float, T>;
template <class T>
DS_HD Compute<T> load(const T& x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return scalar::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
  } else if constexpr (std::is_same_v<T, float16>) {
    return unpack_f16(x.bits);
  } else {
    return x;
  }
}
template <class T>
DS_HD T store(Compute<T> x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    bfloat16 y;
    y.bits = static_cast<uint16_t>(scalar::bit_cast<uint32_t>(scalar::round_bf16(x)) >> 16);
    return y;
  } else if constexpr (std::is_same_v<T, float16>) {
    float16 y;
    y.bits = pack_f16(round_f16(x));
    return y;
  } else {
    return x;
  }
}
// The rounding of a result of T's arithmetic, which stays in Compute<T>; results of another type are exact.
template <class T, class R>
DS_HD R round_to(R x) {
  if constexpr (std::is_same_v<T, bfloat16> && std::is_same_v<R, float>) return scalar::round_bf16(x);
  if constexpr (std::is_same_v<T, float16> && std::is_same_v<R, float>) return round_f16(x);
  return x;
}

[[noreturn]] inline void not_supported(const char* op, DType t) {
  throw NotSupported(std::string("[") + op + "] the cuda backend has no kernel for " + name_of(t));
}

template <class F>
void visit(DType t, F&& f) {
  switch (t) {
#define X(e, c, n) \
  case DType::e:   \
    return f(Tag<c>{});
    DS_DTYPES(X)
#undef X
  }
}
template <class F>
void visit_floating(const char* op, DType t, F&& f) {
  if (t == DType::f32) return f(Tag<float>{});
  if (t == DType::f64) return f(Tag<double>{});
  if (t == DType::bf16) return f(Tag<bfloat16>{});
  if (t == DType::f16) return f(Tag<float16>{});
  not_supported(op, t);
}
// f(Tag) for what has an order: no complex number.
template <class F>
void visit_ordered(const char* op, DType t, F&& f) {
  visit(t, [&](auto tag) {
    if constexpr (scalar::is_complex<typename decltype(tag)::type>) {
      not_supported(op, t);
    } else {
      f(tag);
    }
  });
}
// f(an unsigned integer's Tag of that size, complex128's for 16 bytes), for kernels that only move elements.
template <class F>
void visit_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1:
      return f(Tag<uint8_t>{});
    case 2:
      return f(Tag<uint16_t>{});
    case 4:
      return f(Tag<uint32_t>{});
    case 8:
      return f(Tag<uint64_t>{});
    default:
      return f(Tag<complex128>{});
  }
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// n / d for n < 2^31 without a division: the quotient is the high half of n * multiplier, shifted.
struct Divider {
  uint32_t divisor = 1, multiplier = 0, shift = 0;
  Divider() = default;
  explicit Divider(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    if (d <= 1) return;
    while ((uint64_t{1} << shift) < divisor) ++shift;
    multiplier = static_cast<uint32_t>(((uint64_t{1} << (31 + shift)) + divisor - 1) / divisor);
    --shift;
  }
  DS_HD uint32_t divide(uint32_t n) const {
    return divisor == 1 ? n : static_cast<uint32_t>((uint64_t{n} * multiplier) >> 32) >> shift;
  }
};

// Threads for a block that owns a row: one warp where that is enough.
inline unsigned row_threads(int64_t columns) { return columns <= 512 ? 32 : kBlock; }

template <class T>
__device__ constexpr T highest() {
  if constexpr (scalar::is_complex<T>) {
    return T(0);  // never folded: the host refuses
  } else if constexpr (scalar::Float<T>) {
    return std::is_same_v<T, float> ? static_cast<T>(__builtin_huge_valf()) : static_cast<T>(__builtin_huge_val());
  } else {
    constexpr T max = std::numeric_limits<T>::max();
    return max;
  }
}
template <class T>
__device__ constexpr T lowest() {
  if constexpr (scalar::is_complex<T>) {
    return T(0);  // never folded: the host refuses
  } else if constexpr (scalar::Float<T>) {
    return -highest<T>();
  } else {
    constexpr T min = std::numeric_limits<T>::lowest();
    return min;
  }
}

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return scalar::add(a, b);
  }
};
struct Maximum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return scalar::maximum(a, b);
  }
};

template <class T>
__device__ T shuffle_down(T x, unsigned delta) {
  if constexpr (scalar::is_complex<T>) {
    return {shuffle_down(x.re, delta), shuffle_down(x.im, delta)};
  } else {
    return static_cast<T>(__shfl_down_sync(0xffffffffu, x, delta));
  }
}

// Folds the threads' values, lanes by halves and then warps in order; every thread of the block gets the result.
template <class T, class Op>
__device__ T block_fold(T x, Op op) {
  __shared__ T part[kBlock / 32];
  for (unsigned half = 16; half > 0; half /= 2) x = op(x, shuffle_down(x, half));
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
  __syncthreads();
  T y = part[0];
  for (unsigned w = 1; w < blockDim.x / 32; ++w) y = op(y, part[w]);
  __syncthreads();  // before part is written again
  return y;
}

}  // namespace ds::kernels::cuda_detail

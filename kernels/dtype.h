// Element types, as every layer above names them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/compiler.h"

namespace ds {

// X(enumerator, C++ type, name)
#define DS_DTYPES(X)                   \
  X(f32, float, "float32")             \
  X(f64, double, "float64")            \
  X(bf16, ::ds::bfloat16, "bfloat16")  \
  X(i64, int64_t, "int64")             \
  X(i32, int32_t, "int32")             \
  X(u8, uint8_t, "uint8")              \
  X(boolean, bool, "bool")             \
  X(f16, ::ds::float16, "float16")     \
  X(i8, int8_t, "int8")                \
  X(i16, int16_t, "int16")             \
  X(u16, uint16_t, "uint16")           \
  X(u32, uint32_t, "uint32")           \
  X(u64, uint64_t, "uint64")           \
  X(c64, ::ds::complex64, "complex64") \
  X(c128, ::ds::complex128, "complex128")

enum class DType : uint8_t {
#define X(e, t, n) e,
  DS_DTYPES(X)
#undef X
};
#define X(e, t, n) +1
inline constexpr int kDTypes = 0 DS_DTYPES(X);
#undef X

// Storage only: arithmetic goes through float. Rounds to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float x) {
    uint32_t u;
    std::memcpy(&u, &x, 4);
    bits =
        x != x ? static_cast<uint16_t>((u >> 16) | 0x40) : static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  explicit operator float() const {
    uint32_t u = static_cast<uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &u, 4);
    return x;
  }
};

// The f32 nearest to x that a float16 holds, ties to even; NaN stays NaN. Branch-free, so that loops vectorise.
DS_HD float round_f16(float x) {
  uint32_t u, r;
  __builtin_memcpy(&u, &x, 4);
  uint32_t sign = u & 0x80000000u, a = u ^ sign;
  uint32_t normal = (a + 0xfff + ((a >> 13) & 1)) & ~0x1fffu;
  normal = normal > 0x477fe000u ? 0x7f800000u : normal;  // beyond 65504
  float small;
  __builtin_memcpy(&small, &a, 4);
  small = (small + 0.5f) - 0.5f;  // to a multiple of 2^-24
  __builtin_memcpy(&r, &small, 4);
  r = a < 0x38800000u ? r : normal;  // 2^-14
  r = (a > 0x7f800000u ? ((a & ~0x1fffu) | 0x400000u) : r) | sign;
  __builtin_memcpy(&x, &r, 4);
  return x;
}
// Of an x that a float16 holds, its bits; and back.
DS_HD uint16_t pack_f16(float x) {
  uint32_t u, r;
  __builtin_memcpy(&u, &x, 4);
  uint32_t sign = u & 0x80000000u, a = u ^ sign;
  float scaled;
  __builtin_memcpy(&scaled, &a, 4);
  scaled *= 1.92592994438723585305597794258492732e-34f;  // 2^-112: what is subnormal in f16 becomes so in f32
  __builtin_memcpy(&r, &scaled, 4);
  r = a >= 0x7f800000u ? (0xf800000u | (a & 0x7fffffu)) : r;
  return static_cast<uint16_t>((r >> 13) | (sign >> 16));
}
DS_HD float unpack_f16(uint16_t bits) {
  uint32_t a = (bits & 0x7fffu) << 13, sign = (bits & 0x8000u) << 16, r;
  float x;
  __builtin_memcpy(&x, &a, 4);
  x *= 5.192296858534827628530496329220096e33f;  // 2^112
  __builtin_memcpy(&r, &x, 4);
  r = (a >= 0xf800000u ? (0x7f800000u | (a & 0x7fffffu)) : r) | sign;
  __builtin_memcpy(&x, &r, 4);
  return x;
}

// Storage only, as bfloat16: arithmetic goes through float.
struct float16 {
  uint16_t bits = 0;
  float16() = default;
  explicit float16(float x) : bits(pack_f16(round_f16(x))) {}
  explicit operator float() const { return unpack_f16(bits); }
};

// Laid out as std::complex, which devices lack; its arithmetic stands in kernels/scalar.h.
template <class T>
struct Complex {
  T re, im;
  Complex() = default;
  DS_HD constexpr explicit Complex(T real) : re(real), im(0) {}
  DS_HD constexpr Complex(T real, T imaginary) : re(real), im(imaginary) {}
  DS_HD friend constexpr bool operator==(Complex a, Complex b) { return a.re == b.re && a.im == b.im; }
  DS_HD friend constexpr bool operator!=(Complex a, Complex b) { return a.re != b.re || a.im != b.im; }
};
using complex64 = Complex<float>;
using complex128 = Complex<double>;

constexpr size_t size_of(DType t) {
  switch (t) {
#define X(e, c, n) \
  case DType::e:   \
    return sizeof(c);
    DS_DTYPES(X)
#undef X
  }
  return 0;
}

constexpr const char* name_of(DType t) {
  switch (t) {
#define X(e, c, n) \
  case DType::e:   \
    return n;
    DS_DTYPES(X)
#undef X
  }
  return "?";
}

// Real floats, complex numbers, integers without bool.
constexpr bool is_floating(DType t) {
  return t == DType::f32 || t == DType::f64 || t == DType::bf16 || t == DType::f16;
}
constexpr bool is_complex(DType t) { return t == DType::c64 || t == DType::c128; }
constexpr bool is_integer(DType t) { return !is_floating(t) && !is_complex(t) && t != DType::boolean; }
constexpr bool is_signed(DType t) {
  return t == DType::i8 || t == DType::i16 || t == DType::i32 || t == DType::i64 || is_floating(t) || is_complex(t);
}
// What has gradients.
constexpr bool is_inexact(DType t) { return is_floating(t) || is_complex(t); }
// The dtype of a complex number's parts, itself for the others; and the complex dtype that holds a float.
constexpr DType real_of(DType t) { return t == DType::c64 ? DType::f32 : t == DType::c128 ? DType::f64 : t; }
constexpr DType complex_of(DType t) { return is_complex(t) ? t : t == DType::f64 ? DType::c128 : DType::c64; }

template <class T>
struct DTypeOf;
#define X(e, c, n)                           \
  template <>                                \
  struct DTypeOf<c> {                        \
    static constexpr DType value = DType::e; \
  };
DS_DTYPES(X)
#undef X
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace ds

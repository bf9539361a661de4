// Element types, as every layer above names them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ds {

// X(enumerator, C++ type, name)
#define DS_DTYPES(X)                  \
  X(f32, float, "float32")            \
  X(f64, double, "float64")           \
  X(bf16, ::ds::bfloat16, "bfloat16") \
  X(i64, int64_t, "int64")            \
  X(i32, int32_t, "int32")            \
  X(u8, uint8_t, "uint8")             \
  X(boolean, bool, "bool")

enum class DType : uint8_t {
#define X(e, t, n) e,
  DS_DTYPES(X)
#undef X
};

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

constexpr bool is_floating(DType t) { return t == DType::f32 || t == DType::f64 || t == DType::bf16; }

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

// What the kernels of this folder share: the walk over types, the split into tasks, the layout of scratch.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace ds::kernels::cpu_detail {

template <class T>
struct Tag {
  using type = T;
};

// What T is computed in, and how it is read and written.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>, float, T>;
template <class T>
inline Compute<T> load(T x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return scalar::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
  } else if constexpr (std::is_same_v<T, float16>) {
    return unpack_f16(x.bits);
  } else {
    return x;
  }
}
template <class T>
inline T store(Compute<T> x) {
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
inline R round_to(R x) {
  if constexpr (std::is_same_v<T, bfloat16> && std::is_same_v<R, float>) return scalar::round_bf16(x);
  if constexpr (std::is_same_v<T, float16> && std::is_same_v<R, float>) return round_f16(x);
  return x;
}

[[noreturn]] inline void not_supported(const char* op, DType t) {
  throw NotSupported(std::string("[") + op + "] the cpu backend has no kernel for " + name_of(t));
}

// f(Tag<T>) for the C++ type of t.
template <class F>
decltype(auto) visit(DType t, F&& f) {
  switch (t) {
#define X(e, c, n) \
  case DType::e:   \
    return f(Tag<c>{});
    DS_DTYPES(X)
#undef X
  }
  __builtin_unreachable();
}
template <class F>
void visit_floating(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(Tag<float>{});
    case DType::f64:
      return f(Tag<double>{});
    case DType::bf16:
      return f(Tag<bfloat16>{});
    case DType::f16:
      return f(Tag<float16>{});
    default:
      not_supported(op, t);
  }
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
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// body(task) for each task in [0, tasks). A task's number names its scratch, whoever runs it.
template <class Body>
void for_tasks(Context& ctx, int64_t tasks, Body&& body) {
  ctx.parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) body(t);
  });
}
// Elements of work that are worth a thread, when one costs about `cost` units (a unit is a cheap vectorised operation).
inline int64_t grain_for(int64_t cost) { return std::max<int64_t>(1, 131072 / std::max<int64_t>(1, cost)); }

}  // namespace ds::kernels::cpu_detail

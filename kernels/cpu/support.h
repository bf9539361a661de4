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
using Compute = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;
template <class T>
inline Compute<T> load(T x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return scalar::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
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
  } else {
    return x;
  }
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
    default:
      not_supported(op, t);
  }
}
// f(an unsigned integer's Tag of that size), for kernels that only move elements.
template <class F>
void visit_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1:
      return f(Tag<uint8_t>{});
    case 2:
      return f(Tag<uint16_t>{});
    case 4:
      return f(Tag<uint32_t>{});
    default:
      return f(Tag<uint64_t>{});
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

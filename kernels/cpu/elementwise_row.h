// The block loops of one dtype, instantiated in a file a kind of dtype (elementwise_floats.cpp and its siblings).
#pragma once
#include <type_traits>

#include "kernels/cpu/elementwise_loops.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace row {

#define DS_EW(name, operands, flops)                                \
  struct name##_fn {                                                \
    template <class... A>                                           \
    auto operator()(A... a) const -> decltype(scalar::name(a...)) { \
      return scalar::name(a...);                                    \
    }                                                               \
  };
#include "kernels/elementwise.def"

// Results of bf16 and f16 arithmetic are rounded at once, so that a fused program gives the bits of its single
// instructions. The output may be the very memory of an operand; elements only ever meet their own index, hence ivdep.
template <class Fn, class T>
void unary(void* out, const void* a, const void*, const void*, int64_t n) {
  using A = Compute<T>;
  using R = decltype(Fn{}(A{}));
  auto* o = static_cast<R*>(out);
  auto* x = static_cast<const A*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = round_to<T>(Fn{}(x[i]));
}
struct sin_near_fn {
  float operator()(float x) const { return scalar::sin_near(x); }
};
struct cos_near_fn {
  float operator()(float x) const { return scalar::cos_near(x); }
};
// sin and cos of f32: the loop without the table for huge angles, where there are none. The bits are the same.
template <class Fn, class Near, class T>
void unary_near(void* out, const void* a, const void*, const void*, int64_t n) {
  auto* x = static_cast<const float*>(a);
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, scalar::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  bool near = largest < scalar::bit_cast<uint32_t>(scalar::kNear);
  near ? unary<Near, T>(out, a, nullptr, nullptr, n) : unary<Fn, T>(out, a, nullptr, nullptr, n);
}
template <class Fn, class T>
void binary(void* out, const void* a, const void* b, const void*, int64_t n) {
  using A = Compute<T>;
  using R = decltype(Fn{}(A{}, A{}));
  auto* o = static_cast<R*>(out);
  auto* x = static_cast<const A*>(a);
  auto* y = static_cast<const A*>(b);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = round_to<T>(Fn{}(x[i], y[i]));
}
template <class Fn, class T>
void ternary(void* out, const void* a, const void* b, const void* c, int64_t n) {
  using A = Compute<T>;
  auto* o = static_cast<A*>(out);
  auto* p = static_cast<const uint8_t*>(a);  // GCC makes vectors of truths only where it sees the bytes
  auto* x = static_cast<const A*>(b);
  auto* y = static_cast<const A*>(c);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    A u = x[i], v = y[i];
    o[i] = Fn{}(p[i] != 0, u, v);
  }
}
template <class Fn, class T>
constexpr Loop pick() {
  using A = Compute<T>;
  if constexpr (std::is_invocable_v<Fn, bool, A, A> && !std::is_invocable_v<Fn, A, A>) {
    return ternary<Fn, T>;
  } else if constexpr (std::is_invocable_v<Fn, A, A>) {
    return binary<Fn, T>;
  } else if constexpr (std::is_same_v<Fn, sin_fn> && std::is_same_v<A, float>) {
    return unary_near<Fn, sin_near_fn, T>;
  } else if constexpr (std::is_same_v<Fn, cos_fn> && std::is_same_v<A, float>) {
    return unary_near<Fn, cos_near_fn, T>;
  } else if constexpr (std::is_invocable_v<Fn, A>) {
    return unary<Fn, T>;
  } else {
    return nullptr;
  }
}

}  // namespace row

template <class T>
Loop loop_of(Ew op) {
  static constexpr Loop loops[] = {
#define DS_EW(name, operands, flops) row::pick<row::name##_fn, T>(),
#include "kernels/elementwise.def"
  };
  return loops[static_cast<int>(op)];
}

}  // namespace ds::kernels::cpu_detail

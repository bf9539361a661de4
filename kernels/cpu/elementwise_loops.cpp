#include "kernels/cpu/elementwise_loops.h"

#include <utility>

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int kOps = static_cast<int>(Ew::cast_);
constexpr int kTypes = static_cast<int>(DType::boolean) + 1;

constexpr int kOperands[] = {
#define DS_EW(name, operands, flops) operands,
#include "kernels/elementwise.def"
    1};
constexpr int kFlops[] = {
#define DS_EW(name, operands, flops) flops,
#include "kernels/elementwise.def"
    1};
constexpr const char* kNames[] = {
#define DS_EW(name, operands, flops) #name,
#include "kernels/elementwise.def"
    "cast"};

#define DS_EW(name, operands, flops)                                \
  struct name##_fn {                                                \
    template <class... A>                                           \
    auto operator()(A... a) const -> decltype(scalar::name(a...)) { \
      return scalar::name(a...);                                    \
    }                                                               \
  };
#include "kernels/elementwise.def"

// Results of bf16 arithmetic are rounded at once, so that a fused program gives the bits of its single instructions.
template <bool Round, class R>
inline R finish(R x) {
  if constexpr (Round && std::is_same_v<R, float>) return scalar::round_bf16(x);
  return x;
}

// The output may be the very memory of an operand; elements only ever meet their own index, hence ivdep.
template <class Fn, bool Round, class A>
void unary(void* out, const void* a, const void*, const void*, int64_t n) {
  using R = decltype(Fn{}(A{}));
  auto* o = static_cast<R*>(out);
  auto* x = static_cast<const A*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = finish<Round>(Fn{}(x[i]));
}
struct sin_near_fn {
  float operator()(float x) const { return scalar::sin_near(x); }
};
struct cos_near_fn {
  float operator()(float x) const { return scalar::cos_near(x); }
};
// sin and cos of f32: the loop without the table for huge angles, where there are none. The bits are the same.
template <class Fn, class Near, bool Round>
void unary_near(void* out, const void* a, const void*, const void*, int64_t n) {
  auto* x = static_cast<const float*>(a);
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, scalar::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  bool near = largest < scalar::bit_cast<uint32_t>(scalar::kNear);
  near ? unary<Near, Round, float>(out, a, nullptr, nullptr, n) : unary<Fn, Round, float>(out, a, nullptr, nullptr, n);
}
template <class Fn, bool Round, class A>
void binary(void* out, const void* a, const void* b, const void*, int64_t n) {
  using R = decltype(Fn{}(A{}, A{}));
  auto* o = static_cast<R*>(out);
  auto* x = static_cast<const A*>(a);
  auto* y = static_cast<const A*>(b);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = finish<Round>(Fn{}(x[i], y[i]));
}
template <class Fn, bool Round, class A>
void ternary(void* out, const void* a, const void* b, const void* c, int64_t n) {
  auto* o = static_cast<A*>(out);
  auto* p = static_cast<const bool*>(a);
  auto* x = static_cast<const A*>(b);
  auto* y = static_cast<const A*>(c);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = Fn{}(p[i], x[i], y[i]);
}
template <class From, class To, bool Round>
void cast(void* out, const void* a, const void*, const void*, int64_t n) {
  auto* o = static_cast<To*>(out);
  auto* x = static_cast<const From*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = finish<Round>(scalar::cast<To>(x[i]));
}

template <class Fn, class T>
constexpr Loop pick() {
  using A = Compute<T>;
  constexpr bool round = std::is_same_v<T, bfloat16>;
  if constexpr (std::is_invocable_v<Fn, bool, A, A> && !std::is_invocable_v<Fn, A, A>) {
    return ternary<Fn, round, A>;
  } else if constexpr (std::is_invocable_v<Fn, A, A>) {
    return binary<Fn, round, A>;
  } else if constexpr (std::is_same_v<Fn, sin_fn> && std::is_same_v<A, float>) {
    return unary_near<Fn, sin_near_fn, round>;
  } else if constexpr (std::is_same_v<Fn, cos_fn> && std::is_same_v<A, float>) {
    return unary_near<Fn, cos_near_fn, round>;
  } else if constexpr (std::is_invocable_v<Fn, A>) {
    return unary<Fn, round, A>;
  } else {
    return nullptr;
  }
}
struct Row {
  Loop loop[kTypes];
};
template <class Fn>
constexpr Row row() {
  return {{
#define X(e, c, n) pick<Fn, c>(),
      DS_DTYPES(X)
#undef X
  }};
}
constexpr Row kLoops[kOps] = {
#define DS_EW(name, operands, flops) row<name##_fn>(),
#include "kernels/elementwise.def"
};

template <class From>
constexpr Row casts() {
  return {{
#define X(e, c, n) cast<Compute<From>, Compute<c>, std::is_same_v<c, bfloat16>>,
      DS_DTYPES(X)
#undef X
  }};
}
constexpr Row kCasts[kTypes] = {
#define X(e, c, n) casts<c>(),
    DS_DTYPES(X)
#undef X
};

bool reads_operand_type(Ew op) {
  return op == Ew::less_ || op == Ew::less_equal_ || op == Ew::equal_ || op == Ew::not_equal_;
}

}  // namespace

int operands_of(Ew op) { return kOperands[static_cast<int>(op)]; }
int flops_of(Ew op) { return kFlops[static_cast<int>(op)]; }
const char* name_of(Ew op) { return kNames[static_cast<int>(op)]; }

Loop find_loop(const EwInstruction& instruction, DType operand) {
  int type = static_cast<int>(instruction.type);
  if (instruction.op == Ew::cast_) return kCasts[static_cast<int>(operand)].loop[type];
  DType key = reads_operand_type(instruction.op) ? operand : instruction.type;
  Loop loop = kLoops[static_cast<int>(instruction.op)].loop[static_cast<int>(key)];
  if (loop == nullptr) not_supported(name_of(instruction.op), key);
  return loop;
}

}  // namespace ds::kernels::cpu_detail

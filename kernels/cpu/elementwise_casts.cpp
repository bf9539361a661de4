// Conversions between all dtypes. bf16 and f16 operands are floats already, and a result of theirs is rounded at once.
#include "kernels/cpu/elementwise_loops.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

template <class From, class T>
void cast(void* out, const void* a, const void*, const void*, int64_t n) {
  using To = Compute<T>;
  auto* o = static_cast<To*>(out);
  auto* x = static_cast<const From*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) o[i] = round_to<T>(scalar::cast<To>(x[i]));
}

struct Row {
  Loop loop[kDTypes];
};
template <class From>
constexpr Row casts() {
  return {{
#define X(e, c, n) cast<Compute<From>, c>,
      DS_DTYPES(X)
#undef X
  }};
}
constexpr Row kCasts[kDTypes] = {
#define X(e, c, n) casts<c>(),
    DS_DTYPES(X)
#undef X
};

}  // namespace

Loop cast_loop(DType from, DType to) { return kCasts[static_cast<int>(from)].loop[static_cast<int>(to)]; }

}  // namespace ds::kernels::cpu_detail

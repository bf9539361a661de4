// AdamW in one pass over its four streams: a composition of elementwise programs would keep a dozen registers in L1.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kCostOfElement = 24;

template <class C>
scalar::AdamWFactors<C> factors_of(const AdamW& a) {
  return {C(a.beta1), C(1 - a.beta1), C(a.beta2), C(1 - a.beta2), C(a.eps), C(a.rate), C(a.scale), C(a.decay)};
}

template <class T>
void update(const scalar::AdamWFactors<Compute<T>>& factors, int64_t n, T* const (&out)[3], const T* const (&in)[4]) {
  const auto f = factors;
  T *p_out = out[0], *m_out = out[1], *v_out = out[2];
  const T *p_in = in[0], *m_in = in[1], *v_in = in[2], *g = in[3];
#pragma GCC ivdep  // an output is an input's very memory, or apart from it
  for (int64_t i = 0; i < n; ++i) {
    Compute<T> p = load(p_in[i]), m = load(m_in[i]), v = load(v_in[i]);
    scalar::adamw(f, p, m, v, load(g[i]));
    p_out[i] = store<T>(p);
    m_out[i] = store<T>(m);
    v_out[i] = store<T>(v);
  }
}

}  // namespace

void adamw(Context& ctx, DType type, const AdamW& a, int64_t n, void* const out[3], const void* const in[4]) {
  visit_floating("adamw", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto f = factors_of<Compute<T>>(a);
    ctx.parallel_for(n, grain_for(kCostOfElement), [&](int64_t begin, int64_t end) {
      auto o = [&](int k) { return static_cast<T*>(out[k]) + begin; };
      auto i = [&](int k) { return static_cast<const T*>(in[k]) + begin; };
      update<T>(f, end - begin, {o(0), o(1), o(2)}, {i(0), i(1), i(2), i(3)});
    });
  });
}

}  // namespace ds::kernels::cpu_detail

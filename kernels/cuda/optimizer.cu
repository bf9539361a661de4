// AdamW in one pass: a thread an element.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

template <class T>
struct Streams {
  T *p_out, *m_out, *v_out;
  const T *p, *m, *v, *g;
};

template <class T>
__global__ void update(Streams<T> s, int64_t n, scalar::AdamWFactors<Compute<T>> f) {
  int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (i >= n) return;
  Compute<T> p = load(s.p[i]), m = load(s.m[i]), v = load(s.v[i]);
  scalar::adamw(f, p, m, v, load(s.g[i]));
  s.p_out[i] = store<T>(p);
  s.m_out[i] = store<T>(m);
  s.v_out[i] = store<T>(v);
}

}  // namespace

void adamw(Context& ctx, DType type, const AdamW& a, int64_t n, void* const out[3], const void* const in[4]) {
  visit_floating("adamw", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    scalar::AdamWFactors<C> f = {C(a.beta1), C(1 - a.beta1), C(a.beta2), C(1 - a.beta2),
                                 C(a.eps),   C(a.rate),      C(a.scale), C(a.decay)};
    auto o = [&](int k) { return static_cast<T*>(out[k]); };
    auto i = [&](int k) { return static_cast<const T*>(in[k]); };
    Streams<T> s = {o(0), o(1), o(2), i(0), i(1), i(2), i(3)};
    launch(ctx, update<T>, Grid{ceil_div(n, kBlock)}, kBlock, 0, s, n, f);
  });
}

}  // namespace ds::kernels::cuda_detail

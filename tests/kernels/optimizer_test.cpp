#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

// Against the formula in double, for lengths around the width of vectors; the outputs take the inputs' memory.
TEST(AdamW, OneStepInPlace) {
  AdamW a{0.9, 0.99, 1e-6, 0.02, 1.7, 0.998};
  for (DType type : kFloats)
    for (int64_t n : {0, 1, 7, 16, 33, 70000}) {
      Array p = random_array(type, n, 1), m = random_array(type, n, 2), v = random_array(type, n, 3, 0.1, 2),
            g = random_array(type, n, 4);
      auto size = static_cast<size_t>(n);
      std::vector<double> ep(size), em(size), ev(size);
      for (size_t i = 0; i < size; ++i) {
        em[i] = a.beta1 * m[i] + (1 - a.beta1) * g[i];
        ev[i] = a.beta2 * v[i] + (1 - a.beta2) * g[i] * g[i];
        ep[i] = a.decay * p[i] - a.rate * em[i] / (a.scale * std::sqrt(ev[i]) + a.eps);
      }
      auto out = on_threads([&](Context& ctx) {
        std::vector<Array> o{p, m, v};
        void* const to[] = {o[0].data(), o[1].data(), o[2].data()};
        const void* const from[] = {o[0].data(), o[1].data(), o[2].data(), g.data()};
        cpu().adamw(ctx, type, a, n, to, from);
        return o;
      });
      expect_near(out[0], ep, 4, "p");
      expect_near(out[1], em, 4, "m");
      expect_near(out[2], ev, 4, "v");
    }
}

}  // namespace
}  // namespace ds::kernels

#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

TEST(CudaOptimizer, AdamWInPlace) {
  AdamW a{0.9, 0.99, 1e-6, 0.02, 1.7, 0.998};
  for (DType type : kFloats)
    for (int64_t n : {1, 257, 3000}) {
      Array p = random_array(type, n, 1), m = random_array(type, n, 2), v = random_array(type, n, 3, 0.1, 2),
            g = random_array(type, n, 4);
      expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
        std::vector<Array> out{p, m, v};
        void* const to[] = {out[0].data(), out[1].data(), out[2].data()};
        const void* const from[] = {out[0].data(), out[1].data(), out[2].data(), g.data()};
        t.adamw(ctx, type, a, n, to, from);
        return out;
      });
    }
}

}  // namespace
}  // namespace ds::kernels

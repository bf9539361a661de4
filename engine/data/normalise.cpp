// Built for DS_CPU_ARCH with -ffp-contract=off: the loop becomes a convert, a multiply and an add of whole vectors.
#include "engine/data/normalise.h"

namespace ds::data {

void normalise(const uint8_t* __restrict in, size_t n, float scale, float shift, float* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]) * scale + shift;
}

}  // namespace ds::data

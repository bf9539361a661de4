#pragma once
#include <cstddef>
#include <cstdint>

namespace ds::data {

// out[i] = in[i] * scale + shift, for pixels. Rounds after each of the two operations on every CPU, so that the bits do
// not depend on whether there is a fused multiply-add.
void normalise(const uint8_t* in, size_t n, float scale, float shift, float* out);

}  // namespace ds::data

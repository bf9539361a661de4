// Random numbers by counter; kernels/scalar.h includes this.
#pragma once
#include "kernels/scalar.h"

namespace ds::kernels::scalar {

// ---- random numbers: Philox 4x32-10 ----
struct Words {
  uint32_t w[4];
};
DS_HD Words philox(uint64_t seed, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t p = uint64_t{0xd2511f53u} * c0, q = uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<uint32_t>(q >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(q);
    c2 = static_cast<uint32_t>(p >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}
// [0, 1): the top 24 bits of a word, or the top 53 of (a, b). bf16 takes the top 8 bits and f16
// the top 11, so that they never round to 1.
DS_HD float uniform_f32(uint32_t a) {
  return static_cast<float>(static_cast<int32_t>(a >> 8)) * 5.9604644775390625e-08f;
}
DS_HD float uniform_bf16(uint32_t a) { return static_cast<float>(static_cast<int32_t>(a >> 24)) * 0.00390625f; }
DS_HD float uniform_f16(uint32_t a) { return static_cast<float>(static_cast<int32_t>(a >> 21)) * 0.00048828125f; }
DS_HD double uniform_f64(uint32_t a, uint32_t b) {
  return static_cast<double>(((uint64_t{a} << 32) | b) >> 11) * 1.1102230246251565e-16;
}
// Box-Muller: elements 2i (cos) and 2i+1 (sin) of a stream come from its uniforms 2i and 2i+1.
DS_HD float normal_radius(float u) { return sqrt(-2.f * log(1.f - u)); }
DS_HD double normal_radius(double u) { return sqrt(-2. * log(1. - u)); }
DS_HD float normal_angle(float v) { return v * 6.2831853071795864769f; }
DS_HD double normal_angle(double v) { return v * 6.2831853071795864769; }

}  // namespace ds::kernels::scalar

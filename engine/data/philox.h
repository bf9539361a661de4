// Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon et al., 2011). The same bits on every platform, and
// any block can be had without the ones before it.
#pragma once
#include <array>
#include <cstdint>

namespace ds::data {

using PhiloxBlock = std::array<uint32_t, 4>;

// The block that belongs to `counter` under `key` (low word first in both).
constexpr PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
  constexpr uint64_t kMultiplierA = 0xD2511F53, kMultiplierB = 0xCD9E8D57;
  constexpr uint32_t kWeylA = 0x9E3779B9, kWeylB = 0xBB67AE85;
  uint32_t key_a = static_cast<uint32_t>(key), key_b = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = kMultiplierA * counter[0], b = kMultiplierB * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key_a, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key_b, static_cast<uint32_t>(a)};
    key_a += kWeylA;
    key_b += kWeylB;
  }
  return counter;
}

// One round of splitmix64 over `x`: a cheap, well-mixed hash of an index.
constexpr uint64_t splitmix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace ds::data

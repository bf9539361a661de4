#include "scheduler/autotune/sobol.h"

#include <algorithm>

namespace ds::autotune {
namespace {

constexpr int kBits = 32;

// Primitive polynomials (their bits) and first direction numbers of dimensions 2 to 40, from Joe and Kuo's table
// (2008).
struct Start {
  uint32_t polynomial;
  uint32_t first[8];
};
constexpr Start kStarts[] = {{3, {1}},
                             {7, {1, 3}},
                             {11, {1, 3, 1}},
                             {13, {1, 1, 1}},
                             {19, {1, 1, 3, 3}},
                             {25, {1, 3, 5, 13}},
                             {37, {1, 1, 5, 5, 17}},
                             {41, {1, 1, 5, 5, 5}},
                             {47, {1, 1, 7, 11, 19}},
                             {55, {1, 1, 5, 1, 1}},
                             {59, {1, 1, 1, 3, 11}},
                             {61, {1, 3, 5, 5, 31}},
                             {67, {1, 3, 3, 9, 7, 49}},
                             {91, {1, 1, 1, 15, 21, 21}},
                             {97, {1, 3, 1, 13, 27, 49}},
                             {103, {1, 1, 1, 15, 7, 5}},
                             {109, {1, 3, 1, 15, 13, 25}},
                             {115, {1, 1, 5, 5, 19, 61}},
                             {131, {1, 3, 7, 11, 23, 15, 103}},
                             {137, {1, 3, 7, 13, 13, 15, 69}},
                             {143, {1, 1, 3, 13, 7, 35, 63}},
                             {145, {1, 3, 5, 9, 1, 25, 53}},
                             {157, {1, 3, 1, 13, 9, 35, 107}},
                             {167, {1, 3, 1, 5, 27, 61, 31}},
                             {171, {1, 1, 5, 11, 19, 41, 61}},
                             {185, {1, 3, 5, 3, 3, 13, 69}},
                             {191, {1, 1, 7, 13, 1, 19, 1}},
                             {193, {1, 3, 7, 5, 13, 19, 59}},
                             {203, {1, 1, 3, 9, 25, 29, 41}},
                             {211, {1, 3, 5, 13, 23, 1, 55}},
                             {213, {1, 3, 7, 3, 13, 59, 17}},
                             {229, {1, 3, 1, 3, 5, 53, 69}},
                             {239, {1, 1, 5, 5, 23, 33, 13}},
                             {241, {1, 1, 7, 7, 1, 61, 123}},
                             {247, {1, 1, 7, 9, 13, 61, 49}},
                             {253, {1, 3, 3, 5, 3, 55, 33}},
                             {285, {1, 3, 1, 15, 31, 13, 49, 245}},
                             {299, {1, 3, 5, 15, 31, 59, 63, 97}},
                             {301, {1, 3, 1, 11, 11, 11, 77, 249}}};

}  // namespace

Sobol::Sobol(int dimensions, uint64_t seed) {
  Random random(seed);
  for (int d = 0; d < dimensions; ++d) {
    shifts_.push_back(static_cast<uint32_t>(random.next()));
    auto& v = directions_.emplace_back();
    if (d > static_cast<int>(std::size(kStarts))) {  // beyond the table: every direction at random
      for (uint32_t& direction : v) direction = static_cast<uint32_t>(random.next());
      continue;
    }
    if (d == 0) {
      for (int k = 0; k < kBits; ++k) v[static_cast<size_t>(k)] = 1u << (kBits - 1 - k);
      continue;
    }
    const Start& start = kStarts[d - 1];
    int degree = 0;
    while (start.polynomial >> (degree + 1)) ++degree;
    for (int k = 0; k < kBits; ++k) {
      if (k < degree) {
        v[static_cast<size_t>(k)] = start.first[k] << (kBits - 1 - k);
        continue;
      }
      uint32_t next = v[static_cast<size_t>(k - degree)] >> degree ^ v[static_cast<size_t>(k - degree)];
      for (int j = 1; j < degree; ++j)
        if (start.polynomial >> (degree - j) & 1) next ^= v[static_cast<size_t>(k - j)];
      v[static_cast<size_t>(k)] = next;
    }
  }
  state_.assign(directions_.size(), 0);
}

std::vector<double> Sobol::next() {
  std::vector<double> out;
  for (size_t d = 0; d < state_.size(); ++d) out.push_back((state_[d] ^ shifts_[d]) / 4294967296.0);
  int bit = 0;
  while (index_ >> bit & 1) ++bit;  // Gray code: one direction changes
  ++index_;
  for (size_t d = 0; d < state_.size(); ++d) state_[d] ^= directions_[d][static_cast<size_t>(bit % kBits)];
  return out;
}

Point Sobol::point(const Space& space, Random& random) {
  const std::vector<double> u = next();
  Point out(u.size());
  for (size_t i = 0; i < u.size(); ++i) {
    const int levels = space.levels(static_cast<int>(i));
    out[i] = levels == 0 ? u[i] : std::min(levels - 1, static_cast<int>(u[i] * levels));
  }
  space.settle(out, random);
  return out;
}

}  // namespace ds::autotune

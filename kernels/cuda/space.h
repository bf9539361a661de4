// The iteration space as kernels take it: 32-bit indices, divisions by multiplication. The host cuts larger spaces.
#pragma once
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {

inline constexpr int64_t kMaxCount = int64_t{1} << 30;  // elements of one launch

struct Space {
  uint32_t count;
  int rank;
  Divider extent[kMaxRank];

  // The offset of element i in an operand of these strides.
  DS_HD int64_t offset(uint32_t i, const int64_t* stride) const {
    int64_t at = 0;
    for (int d = rank - 1; d > 0; --d) {
      uint32_t next = extent[d].divide(i);
      at += static_cast<int64_t>(i - next * extent[d].divisor) * stride[d];
      i = next;
    }
    return rank > 0 ? at + static_cast<int64_t>(i) * stride[0] : 0;
  }
};

inline int64_t count_of(const EwSpace& s) {
  int64_t n = 1;
  for (int d = 0; d < s.rank; ++d) n *= s.extent[d];
  return n;
}

inline Space make_space(const EwSpace& s) {
  Space out{static_cast<uint32_t>(count_of(s)), s.rank, {}};
  for (int d = 0; d < s.rank; ++d) out.extent[d] = Divider(s.extent[d]);
  return out;
}

// Whether element i of the space is element i of the operand.
inline bool is_contiguous(const EwSpace& s, const int64_t* stride) {
  int64_t dense = 1;
  for (int d = s.rank - 1; d >= 0; --d) {
    if (s.extent[d] != 1 && stride[d] != dense) return false;
    dense *= s.extent[d];
  }
  return true;
}

// Calls body(part, start along dimension d, d, elements before the part) over pieces of at most kMaxCount elements, cut
// along the outermost dimension that has more than one.
template <class Body>
void for_pieces(const EwSpace& s, Body&& body) {
  int64_t count = count_of(s);
  if (count == 0) return;
  int d = 0;
  while (d < s.rank - 1 && s.extent[d] == 1) ++d;
  if (count <= kMaxCount) return body(s, int64_t{0}, 0, int64_t{0});
  int64_t slice = count / s.extent[d], step = std::max<int64_t>(1, kMaxCount / slice);
  for (int64_t begin = 0; begin < s.extent[d]; begin += step) {
    EwSpace part = s;
    part.extent[d] = std::min(step, s.extent[d] - begin);
    body(part, begin, d, begin * slice);
  }
}

}  // namespace ds::kernels::cuda_detail

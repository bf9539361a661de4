// The walk over a strided operand: run after run along the innermost dimension.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/elementwise.h"

namespace ds::kernels::cpu_detail {

// f(offset, done, run): elements [first + done, first + done + run) of the space start at `offset` in the operand, and
// follow each other at stride[rank - 1].
template <class F>
void walk_runs(const EwSpace& s, const int64_t* stride, int64_t first, int64_t count, F&& f) {
  int last = s.rank - 1;
  if (last < 0) {
    if (count > 0) f(int64_t{0}, int64_t{0}, count);
    return;
  }
  std::array<int64_t, kMaxRank> c{};
  int64_t offset = 0;
  for (int d = last; d >= 0; --d) {
    c[d] = first % s.extent[d];
    first /= s.extent[d];
    offset += c[d] * stride[d];
  }
  for (int64_t done = 0; done < count;) {
    int64_t run = std::min(count - done, s.extent[last] - c[last]);
    f(offset, done, run);
    done += run;
    offset -= c[last] * stride[last];
    c[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      offset += stride[d];
      if (++c[d] < s.extent[d]) break;
      offset -= c[d] * stride[d];
      c[d] = 0;
    }
  }
}

inline int64_t count_of(const EwSpace& s) {
  int64_t n = 1;
  for (int d = 0; d < s.rank; ++d) n *= s.extent[d];
  return n;
}

}  // namespace ds::kernels::cpu_detail

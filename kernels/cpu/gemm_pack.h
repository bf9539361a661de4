// Packing for the matrix product: panels in which the micro-kernel reads one address after the other.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {

// out[p * width + j] = in[p * step + j] for p < k, j < columns; the rest of the panel is zero.
template <class T, class S>
void pack_rows(T* out, const S* in, int64_t step, int64_t k, int columns, int width) {
  for (int64_t p = 0; p < k; ++p) {
    for (int j = 0; j < columns; ++j) out[p * width + j] = load(in[p * step + j]);
    for (int j = columns; j < width; ++j) out[p * width + j] = T(0);
  }
}

// out[p * width + j] = in[j * step + p]: the same from a matrix stored the other way, in squares of eight.
template <class T, class S>
void pack_columns(T* out, const S* in, int64_t step, int64_t k, int columns, int width) {
  constexpr int kSquare = 8;
  for (int j0 = 0; j0 < width; j0 += kSquare) {
    int present = std::clamp(columns - j0, 0, kSquare), room = std::min(kSquare, width - j0);
    int64_t p = 0;
    if (present == kSquare) {
      for (; p + kSquare <= k; p += kSquare) {
        T square[kSquare][kSquare];
        for (int j = 0; j < kSquare; ++j) {
          for (int q = 0; q < kSquare; ++q) square[q][j] = load(in[(j0 + j) * step + p + q]);
        }
        for (int q = 0; q < kSquare; ++q) std::copy_n(square[q], kSquare, out + (p + q) * width + j0);
      }
    }
    for (; p < k; ++p) {
      for (int j = 0; j < present; ++j) out[p * width + j0 + j] = load(in[(j0 + j) * step + p]);
      for (int j = present; j < room; ++j) out[p * width + j0 + j] = T(0);
    }
  }
}

}  // namespace ds::kernels::cpu_detail

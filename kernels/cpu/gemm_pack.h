// Packing for the matrix product: panels in which the micro-kernel reads one address after the other.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {

template <class T, class S>
using PackTileRows = void (*)(T* out, const S* in, int64_t step, int64_t k);
template <class T, class S>
using Pack = void (*)(T* out, const S* in, int64_t step, int64_t k, int64_t columns, int64_t width);

// out[p * columns + j] = in[p * step + j] for a fixed number of columns.
template <class V, int columns, class S>
void pack_tile_rows(typename V::T* out, const S* in, int64_t step, int64_t k) {
  for (int64_t p = 0; p < k; ++p, out += columns, in += step) {
    typename V::T row[columns];
    for (int j = 0; j < columns; ++j) row[j] = load(in[j]);
    for (int j = 0; j < columns; ++j) out[j] = row[j];
  }
}

// out[p * width + j] = in[p * step + j] for p < k, j < columns; the rest of the panel is zero.
template <class V, class S>
void pack_rows(typename V::T* out, const S* in, int64_t step, int64_t k, int64_t columns, int64_t width) {
  for (int64_t p = 0; p < k; ++p, out += width, in += step) {
    for (int64_t j = 0; j < columns; ++j) out[j] = load(in[j]);
    for (int64_t j = columns; j < width; ++j) out[j] = 0;
  }
}

// out[p * width + j] = in[j * step + p]: the same from a matrix stored the other way, in squares of a vector.
template <class V, class S>
void pack_columns(typename V::T* out, const S* in, int64_t step, int64_t k, int64_t columns, int64_t width) {
  constexpr int64_t W = V::width;
  for (int64_t j0 = 0; j0 < width; j0 += W) {
    int64_t present = std::clamp<int64_t>(columns - j0, 0, W), room = std::min(W, width - j0), p = 0;
    const S* from = in + j0 * step;
    if (present == W) {
      for (; p + W <= k; p += W) {
        typename V::V square[W];
        V::load_columns(from + p, step, square);
        for (int64_t q = 0; q < W; ++q) V::store(out + (p + q) * width + j0, square[q]);
      }
    }
    for (; p < k; ++p) {
      for (int64_t j = 0; j < present; ++j) out[p * width + j0 + j] = load(from[j * step + p]);
      for (int64_t j = present; j < room; ++j) out[p * width + j0 + j] = 0;
    }
  }
}

}  // namespace ds::kernels::cpu_detail

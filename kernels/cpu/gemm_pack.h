// Packing for the matrix product: panels in which the micro-kernel reads one address after the other.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {

// out[p * columns + j] = in[p * step + j] for a fixed number of columns.
template <int columns, class T, class S>
void pack_rows_of(T* out, const S* in, int64_t step, int64_t k) {
  for (int64_t p = 0; p < k; ++p, out += columns, in += step) {
    T row[columns];
    for (int j = 0; j < columns; ++j) row[j] = load(in[j]);
    std::copy_n(row, columns, out);
  }
}
template <class T, class S>
void pack_tile_rows(T* out, const S* in, int64_t step, int64_t k, int64_t columns) {
  switch (columns) {
    case 1:
      return pack_rows_of<1>(out, in, step, k);
    case 2:
      return pack_rows_of<2>(out, in, step, k);
    case 3:
      return pack_rows_of<3>(out, in, step, k);
    case 4:
      return pack_rows_of<4>(out, in, step, k);
    case 5:
      return pack_rows_of<5>(out, in, step, k);
    default:
      return pack_rows_of<6>(out, in, step, k);
  }
}

// out[p * width + j] = in[p * step + j] for p < k, j < columns; the rest of the panel is zero.
template <class T, class S>
void pack_rows(T* out, const S* in, int64_t step, int64_t k, int64_t columns, int64_t width) {
  for (int64_t p = 0; p < k; ++p, out += width, in += step) {
    for (int64_t j = 0; j < columns; ++j) out[j] = load(in[j]);
    for (int64_t j = columns; j < width; ++j) out[j] = T(0);
  }
}

// out[p * width + j] = in[j * step + p]: the same from a matrix stored the other way, in squares of a vector.
template <class T, class S>
void pack_columns(T* out, const S* in, int64_t step, int64_t k, int64_t columns, int64_t width) {
  using V = Simd<T>;
  constexpr int64_t W = V::width;
  for (int64_t j0 = 0; j0 < width; j0 += W) {
    int64_t present = std::clamp<int64_t>(columns - j0, 0, W), room = std::min(W, width - j0), p = 0;
    const S* from = in + j0 * step;
    if (present == W) {
      for (; p + W <= k; p += W) {
        typename V::V square[W];
        for (int64_t j = 0; j < W; ++j) square[j] = V::load(from + j * step + p);
        V::transpose(square);
        for (int64_t q = 0; q < W; ++q) V::store(out + (p + q) * width + j0, square[q]);
      }
    }
    for (; p < k; ++p) {
      for (int64_t j = 0; j < present; ++j) out[p * width + j0 + j] = load(from[j * step + p]);
      for (int64_t j = present; j < room; ++j) out[p * width + j0 + j] = T(0);
    }
  }
}

}  // namespace ds::kernels::cpu_detail

// The micro-kernel of the matrix product: one tile of C, MR rows by NV vectors, held in registers over a block of k.
#pragma once
#include <cstdint>

#include "kernels/cpu/simd.h"

namespace ds::kernels::cpu_detail {

inline constexpr int kMaxTileRows = 6;
inline constexpr int kMaxTileVectors = 3;

// Where the rows of the vector operand are: in a packed panel, or still in the matrix. In the matrix the first tile
// that meets them leaves them packed for the others (copy), or nobody else comes (read).
enum class Rows : uint8_t { packed, copy, read };

// c (ldc) = tile of a * b. Element (r, p) of a lies at a[r * a_row + p * a_step], row p of b at b + p * b_step.
template <class T>
struct Tile {
  int64_t k;
  const T* a;
  int64_t a_row, a_step;
  const T* b;
  int64_t b_step;
  T* panel;  // Rows::copy: where row p goes, at panel + p * NV * width
  T* c;
  int64_t ldc;
  int columns;  // how many of the NV * width columns exist; only the last vector may be partial
  // The chain of fmas starts from C where it goes on from an earlier block of k, so how k was cut changes no bit.
  bool load_c;
  bool relu;
  const T* bias;  // of the tile's first column, or null
};

template <class T, int MR, int NV, Rows rows>
void gemm_tile(const Tile<T>& t) {
  using S = Simd<T>;
  using V = typename S::V;
  constexpr int W = S::width;
  V acc[MR][NV];
  const bool whole = t.columns == NV * W;
  const __m256i mask = S::mask(t.columns - (NV - 1) * W);
  const int64_t ldc = t.ldc;
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
    T* c = t.c + r * ldc;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      if (!t.load_c) {
        acc[r][v] = V{};
      } else {
        acc[r][v] = (v + 1 < NV || whole) ? S::load(c + v * W) : S::load(c + v * W, mask);
      }
    }
    __builtin_prefetch(c, 1);
    if constexpr (NV > 1) __builtin_prefetch(c + NV * W - 1, 1);
  }
  const T *a = t.a, *b = t.b;
  T* panel = t.panel;
  const int64_t a_row = t.a_row, a_step = t.a_step, b_step = t.b_step;
  for (int64_t p = t.k; p > 0; --p) {
    V row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      if constexpr (rows == Rows::packed) {
        row[v] = S::load(b + v * W);
      } else {
        row[v] = v + 1 < NV ? S::load(b + v * W) : S::load(b + v * W, mask);
      }
    }
    if constexpr (rows != Rows::packed) {
      __builtin_prefetch(b + 16 * b_step);
      __builtin_prefetch(b + 16 * b_step + NV * W - 1);
    }
    if constexpr (rows == Rows::copy) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) S::store(panel + v * W, row[v]);
      panel += NV * W;
    }
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      V x = S::broadcast(a + r * a_row);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = S::fma(x, row[v], acc[r][v]);
    }
    a += a_step;
    b += b_step;
  }
  if (t.bias != nullptr) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      V bias = (v + 1 < NV || whole) ? S::load(t.bias + v * W) : S::load(t.bias + v * W, mask);
#pragma GCC unroll 8
      for (int r = 0; r < MR; ++r) acc[r][v] = S::add(acc[r][v], bias);
    }
  }
  if (t.relu) {
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = S::relu(acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      if (v + 1 < NV || whole) {
        S::store(t.c + r * ldc + v * W, acc[r][v]);
      } else {
        S::store(t.c + r * ldc + v * W, mask, acc[r][v]);
      }
    }
  }
}

template <class T>
using GemmTile = void (*)(const Tile<T>&);

// The kernel for a tile of `rows` (1..6) by `vectors` (1..3); three vectors wide there are at most four rows.
template <class T, Rows rows>
GemmTile<T> gemm_tile_for(int64_t height, int64_t vectors) {
  static constexpr GemmTile<T> table[kMaxTileVectors][kMaxTileRows] = {
      {gemm_tile<T, 1, 1, rows>, gemm_tile<T, 2, 1, rows>, gemm_tile<T, 3, 1, rows>, gemm_tile<T, 4, 1, rows>,
       gemm_tile<T, 5, 1, rows>, gemm_tile<T, 6, 1, rows>},
      {gemm_tile<T, 1, 2, rows>, gemm_tile<T, 2, 2, rows>, gemm_tile<T, 3, 2, rows>, gemm_tile<T, 4, 2, rows>,
       gemm_tile<T, 5, 2, rows>, gemm_tile<T, 6, 2, rows>},
      {gemm_tile<T, 1, 3, rows>, gemm_tile<T, 2, 3, rows>, gemm_tile<T, 3, 3, rows>, gemm_tile<T, 4, 3, rows>, nullptr,
       nullptr}};
  return table[vectors - 1][height - 1];
}

}  // namespace ds::kernels::cpu_detail

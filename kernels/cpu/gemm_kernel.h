// The micro-kernel of the matrix product: one tile of C, MR rows by NV vectors, held in registers over a block of k.
#pragma once
#include <cstdint>
#include <utility>

#include "kernels/cpu/gemm_pack.h"

namespace ds::kernels::cpu_detail {

inline constexpr int kMaxTileRows = 8;
inline constexpr int kMaxTileVectors = 3;

// Where the rows of the vector operand are: in a packed panel, or still in the matrix, where the first tile that meets
// them leaves them packed for the others.
enum class Rows : uint8_t { packed, copy };

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

template <class S, int MR, int NV, Rows rows>
void gemm_tile(const Tile<typename S::T>& t) {
  using T = typename S::T;
  using V = typename S::V;
  constexpr int W = S::width;
  V acc[MR][NV];
  const bool whole = !S::masks_are_free && t.columns == NV * W;
  const typename S::Mask mask = S::mask(t.columns - (NV - 1) * W);
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

// The innermost loops of C (of T) = A B (of S) over one set's vectors.
template <class T, class S>
struct GemmKernels {
  int64_t width;                     // elements of a vector
  int64_t k_block;                   // a panel of so many steps stays in L1
  int64_t heights[kMaxTileVectors];  // the most rows of a tile so many vectors wide, as the registers allow
  GemmTile<T> tiles[2][kMaxTileVectors][kMaxTileRows];
  PackTileRows<T, S> pack_tile_rows[kMaxTileRows];
  Pack<T, S> pack_rows, pack_columns;

  int64_t height(int64_t vectors) const { return heights[vectors - 1]; }
  GemmTile<T> tile(Rows rows, int64_t height, int64_t vectors) const {
    return tiles[static_cast<int>(rows)][vectors - 1][height - 1];
  }
};

template <class V, Rows rows, int NV, int... r>
constexpr void fill_tiles(GemmTile<typename V::T>* out, std::integer_sequence<int, r...>) {
  ((out[r] = gemm_tile<V, r + 1, NV, rows>), ...);
}
template <class V, class S, int... r>
constexpr void fill_packs(PackTileRows<typename V::T, S>* out, std::integer_sequence<int, r...>) {
  ((out[r] = pack_tile_rows<V, r + 1, S>), ...);
}

// The kernels of vectors V: tiles of one or two vectors have up to `tall` rows, those of three `flat`.
template <class V, class S, int tall, int flat>
constexpr GemmKernels<typename V::T, S> make_gemm_kernels(int64_t k_block) {
  GemmKernels<typename V::T, S> k{};
  k.width = V::width;
  k.k_block = k_block;
  for (int v = 0; v < kMaxTileVectors; ++v) k.heights[v] = v < 2 ? tall : flat;
  using Tall = std::make_integer_sequence<int, tall>;
  using Flat = std::make_integer_sequence<int, flat>;
  fill_tiles<V, Rows::packed, 1>(k.tiles[0][0], Tall());
  fill_tiles<V, Rows::packed, 2>(k.tiles[0][1], Tall());
  fill_tiles<V, Rows::packed, 3>(k.tiles[0][2], Flat());
  fill_tiles<V, Rows::copy, 1>(k.tiles[1][0], Tall());
  fill_tiles<V, Rows::copy, 2>(k.tiles[1][1], Tall());
  fill_tiles<V, Rows::copy, 3>(k.tiles[1][2], Flat());
  fill_packs<V, S>(k.pack_tile_rows, Tall());
  k.pack_rows = pack_rows<V, S>;
  k.pack_columns = pack_columns<V, S>;
  return k;
}

template <class T, class S>
const GemmKernels<T, S>& gemm_avx2();
template <class T, class S>
const GemmKernels<T, S>& gemm_avx512();

}  // namespace ds::kernels::cpu_detail

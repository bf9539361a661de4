// The blocked matrix product of one thread: panels of the vector operand in L1, blocks of the row operand in L2, tiles
// of C in registers.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/vectors.h"

namespace ds::kernels::cpu_detail {

inline constexpr int64_t kMc = 144;
inline constexpr int64_t kNc = 1008;  // a multiple of the panel's width

template <class T, class S>
const GemmKernels<T, S>& gemm_kernels() {
  return vectors_in_use() == Vectors::avx512 ? gemm_avx512<T, S>() : gemm_avx2<T, S>();
}

// C (m x n) = R V. Element (i, p) of R lies at r[i * r_row + p * r_step], (p, j) of V at v[p * v_step + j * v_column];
// one stride of each is 1. R's elements are broadcast, V's are read as vectors along j.
template <class T, class S>
struct Gemm {
  int64_t m, n, k;
  const S* r;
  int64_t r_row, r_step;
  const S* v;
  int64_t v_step, v_column;
  T* c;
  int64_t ldc;
  bool accumulate, relu;
  const T* bias;
  T *buffer_r, *buffer_v;
};

// Rows of the next tile when `left` are left: a tile too low to keep the units busy is evened out with the one before.
inline int64_t tile_rows(int64_t left, int64_t full) {
  if (left <= full) return left;
  return left >= full + 4 || left >= 2 * full ? full : (left + 1) / 2;
}

// R can stay where it lies when a tile reads along its rows, unless the rows would share a few sets of the caches.
template <class T, class S>
bool rows_in_place(int64_t m, int64_t r_row, int64_t r_step) {
  return std::is_same_v<T, S> && r_step == 1 && (m <= 48 || r_row * static_cast<int64_t>(sizeof(S)) % 4096 != 0);
}

template <class T, class S>
class GemmRun {
 public:
  GemmRun(const GemmKernels<T, S>& kernels, const Gemm<T, S>& g)
      : kernels_(kernels),
        g_(g),
        width_(kernels.width),
        vectors_(std::min<int64_t>(kMaxTileVectors, ceil_div(g.n, width_))),
        height_(kernels.height(vectors_)),
        in_place_(rows_in_place<T, S>(g.m, g.r_row, g.r_step)) {}

  void run() {
    int64_t blocks = std::max<int64_t>(1, ceil_div(g_.k, kernels_.k_block)), kc = round_up(ceil_div(g_.k, blocks), 8);
    for (int64_t j = 0; j < g_.n; j += kNc) {
      int64_t nc = std::min(kNc, g_.n - j), p = 0;
      do {
        int64_t count = std::min(kc, g_.k - p);
        for (int64_t i = 0; i < g_.m; i += kMc) block(i, std::min(kMc, g_.m - i), p, count, j, nc);
        p += count;
      } while (p < g_.k);
    }
  }

 private:
  void pack_r(int64_t i, int64_t mc, int64_t p, int64_t kc) {
    for (int64_t r = 0; r < mc;) {
      int64_t rows = tile_rows(mc - r, height_);
      const S* from = g_.r + (i + r) * g_.r_row + p * g_.r_step;
      if (g_.r_row == 1) {
        kernels_.pack_tile_rows[rows - 1](g_.buffer_r + r * kc, from, g_.r_step, kc);
      } else {
        kernels_.pack_columns(g_.buffer_r + r * kc, from, g_.r_row, kc, rows, rows);
      }
      r += rows;
    }
  }

  // The panels of a row of C's blocks: as wide as a tile, the last ones evened out.
  int64_t panel_vectors(int64_t left) const {
    int64_t v = ceil_div(left, width_);
    return v == vectors_ + 1 && vectors_ == 3 ? 2 : std::min(v, vectors_);
  }

  void block(int64_t i, int64_t mc, int64_t p, int64_t kc, int64_t j, int64_t nc) {
    if (!in_place_) pack_r(i, mc, p, kc);
    for (int64_t q = 0; q < nc;) {
      int64_t vectors = panel_vectors(nc - q), width = vectors * width_;
      T* packed = g_.m <= height_ ? g_.buffer_v : g_.buffer_v + q * kc;  // nobody comes back for one tile's panels
      panel(i, mc, p, kc, j + q, std::min(width, nc - q), vectors, packed);
      q += width;
    }
  }

  void panel(int64_t i, int64_t mc, int64_t p, int64_t kc, int64_t j, int64_t columns, int64_t vectors, T* packed) {
    bool first = p == 0, last = p + kc == g_.k;
    int64_t width = vectors * width_;
    Tile<T> t{};
    t.k = kc;
    t.b = packed;
    t.b_step = width;
    t.panel = packed;
    t.ldc = g_.ldc;
    t.columns = static_cast<int>(columns);
    t.load_c = g_.accumulate || !first;
    t.relu = last && g_.relu;
    t.bias = last && g_.bias != nullptr ? g_.bias + j : nullptr;
    const S* from = g_.v + p * g_.v_step + j * g_.v_column;
    bool straight = std::is_same_v<T, S> && g_.v_column == 1;
    if (i == 0 && !straight) pack_v(packed, from, kc, columns, width);
    for (int64_t r = 0; r < mc;) {
      int64_t rows = tile_rows(mc - r, height_);
      place_rows(t, i, r, rows, p, kc);
      t.c = g_.c + (i + r) * g_.ldc + j;
      if (i == 0 && r == 0 && straight) {
        t.b = reinterpret_cast<const T*>(from);
        t.b_step = g_.v_step;
        kernels_.tile(Rows::copy, rows, vectors)(t);
        t.b = packed;
        t.b_step = width;
      } else {
        kernels_.tile(Rows::packed, rows, vectors)(t);
      }
      r += rows;
    }
  }

  void place_rows(Tile<T>& t, int64_t i, int64_t r, int64_t rows, int64_t p, int64_t kc) const {
    if (in_place_) {
      t.a = reinterpret_cast<const T*>(g_.r) + (i + r) * g_.r_row + p;
      t.a_row = g_.r_row;
      t.a_step = 1;
    } else {
      t.a = g_.buffer_r + r * kc;
      t.a_row = 1;
      t.a_step = rows;
    }
  }

  void pack_v(T* out, const S* from, int64_t kc, int64_t columns, int64_t width) {
    if (g_.v_column == 1) {
      kernels_.pack_rows(out, from, g_.v_step, kc, columns, width);
    } else {
      kernels_.pack_columns(out, from, g_.v_column, kc, columns, width);
    }
  }

  const GemmKernels<T, S>& kernels_;
  const Gemm<T, S>& g_;
  int64_t width_, vectors_, height_;
  bool in_place_;
};

// Elements of the buffers a run needs.
template <class T, class S>
int64_t buffer_r_elements(const GemmKernels<T, S>& kernels, int64_t m, int64_t k) {
  return round_up(std::min(m, kMc) * std::min(round_up(k, 8), kernels.k_block + 8), 64) + 64;
}
template <class T, class S>
int64_t buffer_v_elements(const GemmKernels<T, S>& kernels, int64_t n, int64_t k) {
  int64_t columns = std::min(n, kNc) + kMaxTileVectors * kernels.width;
  return round_up(columns * std::min(round_up(k, 8), kernels.k_block + 8), 64) + 64;
}

}  // namespace ds::kernels::cpu_detail

// The micro-kernel of the matrix product: one tile of C, MR rows by NV vectors, held in registers over the whole of k.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace ds::kernels::cpu_detail {

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using V = __m256;
  static constexpr int width = 8;
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static V broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V relu(V a) { return _mm256_max_ps(_mm256_setzero_ps(), a); }  // NaN stays
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static __m256i mask(int n) {  // the first n lanes
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V load(const float* p, __m256i m) { return _mm256_maskload_ps(p, m); }
  static void store(float* p, __m256i m, V v) { _mm256_maskstore_ps(p, m, v); }
};
template <>
struct Simd<double> {
  using V = __m256d;
  static constexpr int width = 4;
  static V load(const double* p) { return _mm256_loadu_pd(p); }
  static V broadcast(const double* p) { return _mm256_broadcast_sd(p); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  static V add(V a, V b) { return _mm256_add_pd(a, b); }
  static V relu(V a) { return _mm256_max_pd(_mm256_setzero_pd(), a); }
  static void store(double* p, V v) { _mm256_storeu_pd(p, v); }
  static __m256i mask(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
  static V load(const double* p, __m256i m) { return _mm256_maskload_pd(p, m); }
  static void store(double* p, __m256i m, V v) { _mm256_maskstore_pd(p, m, v); }
};

// How a tile of C begins and ends. The chain of fmas starts from C where it goes on from an earlier block of k, so the
// bits do not depend on how k was cut.
template <class T>
struct TileEnd {
  bool load_c;
  bool relu;
  const T* bias;  // of the tile's first column, or null
};

// c (ldc) = tile of a * b. Element (r, p) of a lies at a[r * a_row + p * a_step], row p of b at b + p * b_step.
// `columns` is how many of the NV * width columns exist; only the last vector may be partial.
template <class T, int MR, int NV>
void gemm_tile(int64_t k, const T* a, int64_t a_row, int64_t a_step, const T* b, int64_t b_step, T* c, int64_t ldc,
               int columns, const TileEnd<T>& end) {
  using S = Simd<T>;
  using V = typename S::V;
  constexpr int W = S::width;
  V acc[MR][NV];
  const bool whole = columns == NV * W;
  const __m256i mask = S::mask(columns - (NV - 1) * W);
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      if (!end.load_c) {
        acc[r][v] = V{};
      } else {
        acc[r][v] = (v + 1 < NV || whole) ? S::load(c + r * ldc + v * W) : S::load(c + r * ldc + v * W, mask);
      }
    }
  }
  for (int64_t p = 0; p < k; ++p) {
    V row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) row[v] = S::load(b + v * W);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      V x = S::broadcast(a + r * a_row);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = S::fma(x, row[v], acc[r][v]);
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const bool full = v + 1 < NV || whole;
    V bias = end.bias == nullptr ? V{} : (full ? S::load(end.bias + v * W) : S::load(end.bias + v * W, mask));
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      V x = acc[r][v];
      if (end.bias != nullptr) x = S::add(x, bias);
      if (end.relu) x = S::relu(x);
      if (full) {
        S::store(c + r * ldc + v * W, x);
      } else {
        S::store(c + r * ldc + v * W, mask, x);
      }
    }
  }
}

template <class T>
using GemmTile = void (*)(int64_t k, const T* a, int64_t a_row, int64_t a_step, const T* b, int64_t b_step, T* c,
                          int64_t ldc, int columns, const TileEnd<T>& end);

inline constexpr int kMaxTileRows = 6;
inline constexpr int kMaxTileVectors = 3;

// The kernel for a tile of `rows` (1..6) by `vectors` (1..3); three vectors wide there are at most four rows.
template <class T>
GemmTile<T> gemm_tile_for(int rows, int vectors) {
  static constexpr GemmTile<T> table[kMaxTileVectors][kMaxTileRows] = {
      {gemm_tile<T, 1, 1>, gemm_tile<T, 2, 1>, gemm_tile<T, 3, 1>, gemm_tile<T, 4, 1>, gemm_tile<T, 5, 1>,
       gemm_tile<T, 6, 1>},
      {gemm_tile<T, 1, 2>, gemm_tile<T, 2, 2>, gemm_tile<T, 3, 2>, gemm_tile<T, 4, 2>, gemm_tile<T, 5, 2>,
       gemm_tile<T, 6, 2>},
      {gemm_tile<T, 1, 3>, gemm_tile<T, 2, 3>, gemm_tile<T, 3, 3>, gemm_tile<T, 4, 3>, nullptr, nullptr}};
  return table[vectors - 1][rows - 1];
}

}  // namespace ds::kernels::cpu_detail

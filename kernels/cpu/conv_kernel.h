// The innermost loops of the convolutions, over one set's vectors (vectors.h).
#pragma once
#include <cstdint>
#include <utility>

#include "kernels/cpu/vectors.h"

namespace ds::kernels::cpu_detail {

inline constexpr int kConvVectors = 3;     // of positions in a tile
inline constexpr int kMaxConvFilters = 8;  // in a tile
inline constexpr int kMaxDotVectors = 4;   // of filters in a tile of the filters' gradient
inline constexpr int kMaxDotTaps = 6;

// c[r] (ldc) = or += sum over taps of a[p][r] * image[offset[p] ...].
template <class T>
using ConvTile = void (*)(int64_t k, const T* a, const T* image, const int32_t* offset, T* c, int64_t ldc, bool load_c);

template <class S, int kFilters, int MR, int NV>
void conv_tile(int64_t k, const typename S::T* a, const typename S::T* image, const int32_t* offset, typename S::T* c,
               int64_t ldc, bool load_c) {
  typename S::V acc[MR][NV];
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[r][v] = load_c ? S::load(c + r * ldc + v * S::width) : typename S::V{};
  }
  for (int64_t p = 0; p < k; ++p, a += kFilters) {
    const typename S::T* b = image + offset[p];
    typename S::V row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) row[v] = S::load(b + v * S::width);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      auto x = S::broadcast(a + r);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = S::fma(x, row[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) S::store(c + r * ldc + v * S::width, acc[r][v]);
  }
}

// Over the positions of every image of a tile of the filters' gradient.
struct DotWalk {
  int64_t images, image_step, gradient_step, vector_step;
  int64_t positions;  // whole groups of lanes; the gradient is zero where there is no output
};

// out[f * ldo + t] += sum over positions of dy[f] * image[offset[t] ...], for the first `filters` that the vectors of
// dy hold. A vector of 64 bytes holds two filters at the same 32 bytes of positions: which positions a lane adds up is
// the same for every set.
template <class T>
using DotTile = void (*)(const DotWalk&, const T* dy, const T* image, const int32_t* offset, T* out, int64_t ldo,
                         int64_t filters);

template <class S, int F, int N>
void dot_tile(const DotWalk& d, const typename S::T* dy, const typename S::T* image, const int32_t* offset,
              typename S::T* out, int64_t ldo, int64_t filters) {
  using T = typename S::T;
  using V = typename S::V;
  constexpr int64_t lanes = S::width / S::filters;
  V acc[kMaxDotVectors][N] = {};
  for (int64_t i = 0; i < d.images; ++i) {
    const T *g = dy + i * d.gradient_step, *from = image + i * d.image_step;
    for (int64_t x = 0; x < d.positions; x += lanes, g += S::width) {
      V row[N];
#pragma GCC unroll 8
      for (int t = 0; t < N; ++t) row[t] = S::load_positions(from + offset[t] + x);
#pragma GCC unroll 4
      for (int f = 0; f < F; ++f) {
        V v = S::load(g + f * d.vector_step);
#pragma GCC unroll 8
        for (int t = 0; t < N; ++t) acc[f][t] = S::fma(v, row[t], acc[f][t]);
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < N; ++t) {
    T sum[kMaxDotVectors * S::filters];
    S::sums(acc[0][t], acc[1][t], acc[2][t], acc[3][t], sum);
    for (int64_t f = 0; f < filters; ++f) out[f * ldo + t] += sum[f];
  }
}

template <class T>
struct ConvKernels {
  int64_t width;    // elements of a vector
  int64_t filters;  // of a tile, and of a panel of packed filters
  ConvTile<T> tiles[kConvVectors][kMaxConvFilters];
  int64_t dot_filters, dot_taps;  // of a vector; of a tile
  DotTile<T> dots[kMaxDotTaps][kMaxDotVectors];
};

template <class V, int filters, int NV, int... r>
constexpr void fill_conv(ConvTile<typename V::T>* out, std::integer_sequence<int, r...>) {
  ((out[r] = conv_tile<V, filters, r + 1, NV>), ...);
}
template <class V, int... t>
constexpr void fill_dots(DotTile<typename V::T> (*out)[kMaxDotVectors], std::integer_sequence<int, t...>) {
  ((out[t][0] = dot_tile<V, 1, t + 1>, out[t][1] = dot_tile<V, 2, t + 1>, out[t][2] = dot_tile<V, 3, t + 1>,
    out[t][3] = dot_tile<V, 4, t + 1>),
   ...);
}

template <class V, int filters, int dot_taps>
constexpr ConvKernels<typename V::T> make_conv_kernels() {
  ConvKernels<typename V::T> k{};
  k.width = V::width;
  k.filters = filters;
  fill_conv<V, filters, 1>(k.tiles[0], std::make_integer_sequence<int, filters>());
  fill_conv<V, filters, 2>(k.tiles[1], std::make_integer_sequence<int, filters>());
  fill_conv<V, filters, 3>(k.tiles[2], std::make_integer_sequence<int, filters>());
  k.dot_filters = V::filters;
  k.dot_taps = dot_taps;
  fill_dots<V>(k.dots, std::make_integer_sequence<int, dot_taps>());
  return k;
}

template <class T>
const ConvKernels<T>& conv_avx2();
template <class T>
const ConvKernels<T>& conv_avx512();
template <class T>
const ConvKernels<T>& conv_kernels() {
  return vectors_in_use() == Vectors::avx512 ? conv_avx512<T>() : conv_avx2<T>();
}

}  // namespace ds::kernels::cpu_detail

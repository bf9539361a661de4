// simd.h over 64-byte vectors. Only files compiled for AVX-512 include it.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/simd.h"
#include "kernels/dtype.h"

namespace ds::kernels::cpu_detail {

template <class T>
struct Simd512;

template <>
struct Simd512<float> {
  using T = float;
  using V = __m512;
  using Mask = __mmask16;
  static constexpr int width = 16;
  static constexpr bool masks_are_free = true;
  static constexpr int filters = 2;
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static V load(const bfloat16* p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  static V load(const float16* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static V load_positions(const float* p) { return _mm512_broadcast_f32x8(_mm256_loadu_ps(p)); }
  static V broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V relu(V a) { return _mm512_max_ps(_mm512_setzero_ps(), a); }  // NaN stays
  // The sums of the halves of four vectors, each added up as Simd's.
  static void sums(V a, V b, V c, V d, float* out) {
    float low[4], high[4];
    Simd<float>::sums(_mm512_castps512_ps256(a), _mm512_castps512_ps256(b), _mm512_castps512_ps256(c),
                      _mm512_castps512_ps256(d), low);
    Simd<float>::sums(_mm512_extractf32x8_ps(a, 1), _mm512_extractf32x8_ps(b, 1), _mm512_extractf32x8_ps(c, 1),
                      _mm512_extractf32x8_ps(d, 1), high);
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = low[i];
      out[2 * i + 1] = high[i];
    }
  }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static Mask mask(int n) { return static_cast<Mask>((1U << n) - 1); }  // the first n lanes
  static V load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  static void store(float* p, Mask m, V v) { _mm512_mask_storeu_ps(p, m, v); }
  // out[q] is column q of the 16 rows at p, p + step, ...: quarters of rows are loaded where they belong, and turned.
  static void load_columns(const float* p, int64_t step, V (&out)[16]) {
#pragma GCC unroll 4
    for (int c = 0; c < 16; c += 4, p += 4) {
      V r[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const float* row = p + i * step;
        r[i] = _mm512_castps128_ps512(_mm_loadu_ps(row));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0x00f0, _mm_loadu_ps(row + 4 * step));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0x0f00, _mm_loadu_ps(row + 8 * step));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0xf000, _mm_loadu_ps(row + 12 * step));
      }
      __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1])),
              b = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
      __m512d d = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3])),
              e = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
      out[c] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, d));
      out[c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, d));
      out[c + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, e));
      out[c + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, e));
    }
  }
  template <class S>
  static void load_columns(const S* p, int64_t step, V (&out)[16]) {
    alignas(64) float rows[16][16];
    for (int64_t i = 0; i < 16; ++i) store(rows[i], load(p + i * step));
    load_columns(rows[0], 16, out);
  }
};

template <>
struct Simd512<double> {
  using T = double;
  using V = __m512d;
  using Mask = __mmask8;
  static constexpr int width = 8;
  static constexpr bool masks_are_free = true;
  static constexpr int filters = 2;
  static V load(const double* p) { return _mm512_loadu_pd(p); }
  static V load_positions(const double* p) { return _mm512_broadcast_f64x4(_mm256_loadu_pd(p)); }
  static V broadcast(const double* p) { return _mm512_set1_pd(*p); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
  static V add(V a, V b) { return _mm512_add_pd(a, b); }
  static V relu(V a) { return _mm512_max_pd(_mm512_setzero_pd(), a); }
  static void sums(V a, V b, V c, V d, double* out) {
    double low[4], high[4];
    Simd<double>::sums(_mm512_castpd512_pd256(a), _mm512_castpd512_pd256(b), _mm512_castpd512_pd256(c),
                       _mm512_castpd512_pd256(d), low);
    Simd<double>::sums(_mm512_extractf64x4_pd(a, 1), _mm512_extractf64x4_pd(b, 1), _mm512_extractf64x4_pd(c, 1),
                       _mm512_extractf64x4_pd(d, 1), high);
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = low[i];
      out[2 * i + 1] = high[i];
    }
  }
  static void store(double* p, V v) { _mm512_storeu_pd(p, v); }
  static Mask mask(int n) { return static_cast<Mask>((1U << n) - 1); }
  static V load(const double* p, Mask m) { return _mm512_maskz_loadu_pd(m, p); }
  static void store(double* p, Mask m, V v) { _mm512_mask_storeu_pd(p, m, v); }
  static void load_columns(const double* p, int64_t step, V (&out)[8]) {
#pragma GCC unroll 4
    for (int c = 0; c < 8; c += 2, p += 2) {
      V r[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const double* row = p + i * step;
        r[i] = _mm512_castpd128_pd512(_mm_loadu_pd(row));
        r[i] = _mm512_mask_broadcast_f64x2(r[i], 0x0c, _mm_loadu_pd(row + 2 * step));
        r[i] = _mm512_mask_broadcast_f64x2(r[i], 0x30, _mm_loadu_pd(row + 4 * step));
        r[i] = _mm512_mask_broadcast_f64x2(r[i], 0xc0, _mm_loadu_pd(row + 6 * step));
      }
      out[c] = _mm512_unpacklo_pd(r[0], r[1]);
      out[c + 1] = _mm512_unpackhi_pd(r[0], r[1]);
    }
  }
};

}  // namespace ds::kernels::cpu_detail

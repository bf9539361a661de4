// The few vector operations the kernels of this folder are written in: 32-byte AVX2 vectors of f32 or f64.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "kernels/dtype.h"

namespace ds::kernels::cpu_detail {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using T = float;
  using V = __m256;
  using Mask = __m256i;
  static constexpr int width = 8;
  static constexpr bool masks_are_free = false;
  static constexpr int filters = 1;  // a vector of the filters' gradient holds (conv_kernel.h)
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static V load(const bfloat16* p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static V load(const float16* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static V load_positions(const float* p) { return load(p); }
  static V broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V relu(V a) { return _mm256_max_ps(_mm256_setzero_ps(), a); }  // NaN stays
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static Mask mask(int n) {  // the first n lanes
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  static void store(float* p, Mask m, V v) { _mm256_maskstore_ps(p, m, v); }
  // The sums of the lanes of four vectors.
  static void sums(V a, V b, V c, V d, float* out) {
    V x = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1)));
  }
  // The elements at even and at odd places of two vectors, and back.
  static V even(V a, V b) { return permute(_mm256_shuffle_ps(a, b, 0x88)); }
  static V odd(V a, V b) { return permute(_mm256_shuffle_ps(a, b, 0xdd)); }
  static V zip_low(V a, V b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
  }
  static V zip_high(V a, V b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
  }
  static V permute(V a) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xd8)); }
  // Eight rows become eight columns.
  static void transpose(V (&r)[8]) {
    V a[8], b[8];
    for (int i = 0; i < 4; ++i) {
      a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
      a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int h = 0; h < 8; h += 4) {
      b[h] = _mm256_shuffle_ps(a[h], a[h + 2], 0x44);
      b[h + 1] = _mm256_shuffle_ps(a[h], a[h + 2], 0xee);
      b[h + 2] = _mm256_shuffle_ps(a[h + 1], a[h + 3], 0x44);
      b[h + 3] = _mm256_shuffle_ps(a[h + 1], a[h + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
  }
  // out[q] is column q of the rows at p, p + step, ...
  template <class S>
  static void load_columns(const S* p, int64_t step, V (&out)[8]) {
    for (int64_t i = 0; i < 8; ++i) out[i] = load(p + i * step);
    transpose(out);
  }
};

template <>
struct Simd<double> {
  using T = double;
  using V = __m256d;
  using Mask = __m256i;
  static constexpr int width = 4;
  static constexpr bool masks_are_free = false;
  static constexpr int filters = 1;
  static V load(const double* p) { return _mm256_loadu_pd(p); }
  static V load_positions(const double* p) { return load(p); }
  static V broadcast(const double* p) { return _mm256_broadcast_sd(p); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  static V add(V a, V b) { return _mm256_add_pd(a, b); }
  static V relu(V a) { return _mm256_max_pd(_mm256_setzero_pd(), a); }
  static void store(double* p, V v) { _mm256_storeu_pd(p, v); }
  static Mask mask(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
  static V load(const double* p, Mask m) { return _mm256_maskload_pd(p, m); }
  static void store(double* p, Mask m, V v) { _mm256_maskstore_pd(p, m, v); }
  static void sums(V a, V b, V c, V d, double* out) {
    V x = _mm256_hadd_pd(a, b), y = _mm256_hadd_pd(c, d);
    V low = _mm256_permute2f128_pd(x, y, 0x20), high = _mm256_permute2f128_pd(x, y, 0x31);
    _mm256_storeu_pd(out, _mm256_add_pd(low, high));
  }
  static V even(V a, V b) { return _mm256_permute4x64_pd(_mm256_unpacklo_pd(a, b), 0xd8); }
  static V odd(V a, V b) { return _mm256_permute4x64_pd(_mm256_unpackhi_pd(a, b), 0xd8); }
  static V zip_low(V a, V b) {
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x20);
  }
  static V zip_high(V a, V b) {
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x31);
  }
  static void transpose(V (&r)[4]) {
    V a = _mm256_unpacklo_pd(r[0], r[1]), b = _mm256_unpackhi_pd(r[0], r[1]);
    V c = _mm256_unpacklo_pd(r[2], r[3]), d = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(a, c, 0x20);
    r[1] = _mm256_permute2f128_pd(b, d, 0x20);
    r[2] = _mm256_permute2f128_pd(a, c, 0x31);
    r[3] = _mm256_permute2f128_pd(b, d, 0x31);
  }
  static void load_columns(const double* p, int64_t step, V (&out)[4]) {
    for (int64_t i = 0; i < 4; ++i) out[i] = load(p + i * step);
    transpose(out);
  }
};

}  // namespace ds::kernels::cpu_detail

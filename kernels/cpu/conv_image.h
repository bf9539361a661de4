// The image a convolution reads: padded, spread by zeros, and cut into phases by the stride, so that every tap of the
// filter is a constant offset from the output's own position and no im2col matrix is ever made.
//
// Output (y, x) has the flat index y * pitch + x; tap (r, s) of channel c reads plane (c, phase) at that index plus
// tap_offset(c, r, s). The flat index also runs over pitch - out_w positions a row that are no outputs.
#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {

inline constexpr int64_t kImageSlack = 64;  // elements behind an image that vectors may read

// A stride-1 walk in phase space: forward and gradient of the input are both of this form.
struct ConvShape {
  int64_t channels, filters;   // of one group
  int64_t src_h, src_w;        // the source as it lies in memory
  int64_t insert_h, insert_w;  // the source's pixels stand this far apart (gradient of a stride)
  int64_t pad_h, pad_w;        // zeros before it; negative crops
  int64_t kh, kw;
  int64_t stride_h, stride_w, dilation_h, dilation_w;
  int64_t out_h, out_w;

  // Of the stride's phases only those that a tap falls into: a 1x1 filter has one, whatever its stride.
  static int64_t phases(int64_t taps, int64_t stride, int64_t dilation) {
    return std::min(taps, stride / std::gcd(stride, dilation));
  }
  int64_t phases_h() const { return phases(kh, stride_h, dilation_h); }
  int64_t phases_w() const { return phases(kw, stride_w, dilation_w); }
  int64_t phases() const { return phases_h() * phases_w(); }
  // The zeros behind a row and those before the next are the same ones where the walk has no phases.
  int64_t pitch() const {
    int64_t natural = out_w + (kw - 1) * dilation_w / stride_w;
    int64_t behind = natural - pad_w - ((src_w - 1) * insert_w + 1);
    return stride_w > 1 ? natural : natural - std::clamp<int64_t>(std::min(pad_w, behind), 0, kImageSlack / 2);
  }
  int64_t rows(int64_t band) const { return band + (kh - 1) * dilation_h / stride_h; }
  int64_t plane(int64_t band) const { return rows(band) * pitch(); }
  int64_t image(int64_t band) const { return channels * phases() * plane(band); }
  int64_t taps() const { return kh * kw; }
  int64_t tap_offset(int64_t band, int64_t c, int64_t r, int64_t s) const {
    int64_t phase = r % phases_h() * phases_w() + s % phases_w();  // taps fall into them in turn
    return (c * phases() + phase) * plane(band) + r * dilation_h / stride_h * pitch() + s * dilation_w / stride_w;
  }
};

inline ConvShape forward_shape(const Conv2d& d) {
  return {.channels = d.c / d.groups,
          .filters = d.o / d.groups,
          .src_h = d.h,
          .src_w = d.w,
          .insert_h = 1,
          .insert_w = 1,
          .pad_h = d.pad_h,
          .pad_w = d.pad_w,
          .kh = d.kh,
          .kw = d.kw,
          .stride_h = d.stride_h,
          .stride_w = d.stride_w,
          .dilation_h = d.dilation_h,
          .dilation_w = d.dilation_w,
          .out_h = d.oh,
          .out_w = d.ow};
}

// n elements by whole vectors, the last one overlapping: rows here are short.
template <class T, class F>
inline void map_row(T* out, const T* in, int64_t n, F&& f) {
  constexpr int64_t W = Simd<T>::width;
  if (n < W) {
    auto mask = Simd<T>::mask(static_cast<int>(n));
    Simd<T>::store(out, mask, f(Simd<T>::load(in, mask)));
    return;
  }
  for (int64_t i = 0; i + W < n; i += W) Simd<T>::store(out + i, f(Simd<T>::load(in + i)));
  Simd<T>::store(out + n - W, f(Simd<T>::load(in + n - W)));
}
template <class T>
inline void copy_row(T* out, const T* in, int64_t n) {
  map_row(out, in, n, [](auto v) { return v; });
}

// One row of one phase: out[i] is the source's column (i * stride + shift) / insert where there is one.
template <class T>
void fill_row(T* out, const T* row, int64_t n, int64_t stride, int64_t shift, int64_t insert, int64_t width) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t x = i * stride + shift;
    bool inside = x >= 0 && x % insert == 0 && x / insert < width;
    out[i] = inside ? row[x / insert] : T(0);
  }
}

// The part of the image that output rows [y0, y0 + band) read. Where nothing but zeros surrounds the rows of a plain
// walk they are only written when `fresh`: the image before left them.
template <class T>
void fill_image(const ConvShape& s, T* out, const T* source, int64_t y0, int64_t band, bool fresh) {
  int64_t rows = s.rows(band), pitch = s.pitch(), elements = s.image(band) + kImageSlack;
  bool plain = s.stride_h == 1 && s.stride_w == 1 && s.insert_h == 1 && s.insert_w == 1 && s.pad_w >= 0 &&
               s.pad_w + s.src_w <= pitch;
  if (plain) {
    if (fresh) std::fill_n(out, elements, T(0));
    int64_t first = std::max<int64_t>(0, s.pad_h - y0), last = std::min(rows, s.src_h + s.pad_h - y0);
    for (int64_t c = 0; c < s.channels; ++c, out += rows * pitch, source += s.src_h * s.src_w) {
      for (int64_t i = first; i < last; ++i) {
        copy_row(out + i * pitch + s.pad_w, source + (y0 + i - s.pad_h) * s.src_w, s.src_w);
      }
    }
    return;
  }
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t phase = 0; phase < s.phases(); ++phase) {
      int64_t down = phase / s.phases_w() * s.dilation_h % s.stride_h;
      int64_t right = phase % s.phases_w() * s.dilation_w % s.stride_w;
      for (int64_t i = 0; i < rows; ++i, out += pitch) {
        int64_t y = (y0 + i) * s.stride_h + down - s.pad_h;
        if (y < 0 || y % s.insert_h != 0 || y / s.insert_h >= s.src_h) {
          std::fill_n(out, pitch, T(0));
        } else {
          fill_row(out, source + (c * s.src_h + y / s.insert_h) * s.src_w, pitch, s.stride_w, right - s.pad_w,
                   s.insert_w, s.src_w);
        }
      }
    }
  }
  std::fill_n(out, kImageSlack, T(0));
}

}  // namespace ds::kernels::cpu_detail

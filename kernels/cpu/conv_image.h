// The image a convolution reads: padded, spread by zeros, and cut into phases by the stride, so that every tap of the
// filter is a constant offset from the output's own position and no im2col matrix is ever made.
//
// Output (y, x) has the flat index y * pitch + x; tap (r, s) of channel c reads plane (c, phase) at that index plus
// tap_offset(c, r, s). The flat index also runs over pitch - out_w positions a row that are no outputs.
#pragma once
#include <algorithm>
#include <cstdint>

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

  int64_t phases() const { return stride_h * stride_w; }
  int64_t pitch() const { return out_w + (kw - 1) * dilation_w / stride_w; }
  int64_t rows(int64_t band) const { return band + (kh - 1) * dilation_h / stride_h; }
  int64_t plane(int64_t band) const { return rows(band) * pitch(); }
  int64_t image(int64_t band) const { return channels * phases() * plane(band); }
  int64_t taps() const { return kh * kw; }
  int64_t tap_offset(int64_t band, int64_t c, int64_t r, int64_t s) const {
    int64_t y = r * dilation_h, x = s * dilation_w;
    int64_t phase = y % stride_h * stride_w + x % stride_w;
    return (c * phases() + phase) * plane(band) + y / stride_h * pitch() + x / stride_w;
  }
};

// One row of one phase: out[i] is the source's column (i * stride + shift) / insert where there is one.
template <class T>
void fill_row(T* out, const T* row, int64_t n, int64_t stride, int64_t shift, int64_t insert, int64_t width) {
  if (stride == 1 && insert == 1) {
    int64_t begin = std::clamp<int64_t>(-shift, 0, n), end = std::clamp<int64_t>(width - shift, begin, n);
    std::fill(out, out + begin, T(0));
    std::copy(row + begin + shift, row + end + shift, out + begin);
    std::fill(out + end, out + n, T(0));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    int64_t x = i * stride + shift;
    bool inside = x >= 0 && x % insert == 0 && x / insert < width;
    out[i] = inside ? row[x / insert] : T(0);
  }
}

// The part of the image that output rows [y0, y0 + band) read.
template <class T>
void fill_image(const ConvShape& s, T* out, const T* source, int64_t y0, int64_t band) {
  int64_t rows = s.rows(band), pitch = s.pitch();
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t phase = 0; phase < s.phases(); ++phase) {
      for (int64_t i = 0; i < rows; ++i, out += pitch) {
        int64_t y = (y0 + i) * s.stride_h + phase / s.stride_w - s.pad_h;
        if (y < 0 || y % s.insert_h != 0 || y / s.insert_h >= s.src_h) {
          std::fill_n(out, pitch, T(0));
        } else {
          fill_row(out, source + (c * s.src_h + y / s.insert_h) * s.src_w, pitch, s.stride_w,
                   phase % s.stride_w - s.pad_w, s.insert_w, s.src_w);
        }
      }
    }
  }
  std::fill_n(out, kImageSlack, T(0));
}

}  // namespace ds::kernels::cpu_detail

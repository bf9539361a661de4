// Windows over one to three spatial dimensions, and attention; engine/ops/functions.h includes this. Images are
// (batch, channels, spatial...); every option has one entry a spatial dimension.
#pragma once
#include <vector>

#include "engine/lazy/tensor.h"

namespace ds {

enum class PadMode : uint8_t { constant, reflect, replicate, circular };
// {before, after} of the last dimension, then of the one before it, as torch pads; negative crops (constant only).
Tensor pad(const Tensor& x, const std::vector<int64_t>& pads, PadMode = PadMode::constant, double value = 0);

struct ConvOptions {
  std::vector<int64_t> stride, padding, dilation;  // empty: ones, zeros, ones
  int64_t groups = 1;
};
// Weight (out, in / groups, kernel...), bias (out,); uneven padding: pad() before it. bfloat16 computes in float32.
Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& = {});
// Weight (in, out / groups, kernel...); output_padding (empty: zeros) less than the stride.
Tensor conv_transpose(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& = {},
                      const std::vector<int64_t>& output_padding = {});

// Columns of windows: (batch, channels, h, w) -> (batch, channels * kh * kw, windows), and their sum back into images.
struct WindowOptions {
  std::vector<int64_t> kernel, stride, padding, dilation;  // empty: (stride) ones, zeros, ones
};
Tensor unfold(const Tensor& x, const WindowOptions&);
Tensor fold(const Tensor& columns, const std::vector<int64_t>& output_size, const WindowOptions&);

struct PoolOptions {
  std::vector<int64_t> kernel, stride, padding, dilation;  // empty: (stride) the kernel, zeros, ones
  bool ceil_mode = false;
  bool count_include_pad = true;  // average only, as the divisor: 0 divides by the window's size
  double divisor = 0;
};
struct Pooled {
  Tensor values, indices;  // int64: into the flat spatial extents of one channel
};
// As many spatial dimensions as the kernel has entries; whatever stands before them is batch.
Pooled max_pool(const Tensor& x, const PoolOptions&);  // a NaN is the greatest; of equals the first
Tensor avg_pool(const Tensor& x, const PoolOptions&);
// Windows from floor(i n / out) to ceil((i + 1) n / out).
Pooled adaptive_max_pool(const Tensor& x, const std::vector<int64_t>& output_size);
Tensor adaptive_avg_pool(const Tensor& x, const std::vector<int64_t>& output_size);

struct AttentionOptions {
  Tensor mask;          // broadcasts to (..., q, k): bool (true takes part) or added to the scores
  bool causal = false;  // query i sees keys 0 .. i
  double scale = 0;     // 0: 1 / sqrt(width)
};
// softmax(q k^T scale + mask) v of (..., heads, length, width); k and v may have fewer heads, each serving a group of
// q's. A block of queries at a time, forwards and backwards: memory grows with the length, not with its square. A row
// that may see nothing is 0.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& = {});

}  // namespace ds

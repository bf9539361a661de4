// Convolutions of one to three spatial dimensions over the one of two: a line is an image of one row, and a volume is
// the sum of its kernel's slices, each over all the depths it meets at once.
#include "engine/ops/conv.h"

namespace ds {
namespace {

struct Options {
  Ints stride, padding, dilation;
  int64_t groups;
};

Options check(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvOptions& o) {
  if (x.rank() < 3 || x.rank() > 5 || w.rank() != x.rank())
    fail(op, "(batch,channels,spatial...) and a weight of that rank are needed, got ", x.shape(), " and ", w.shape());
  size_t n = static_cast<size_t>(x.rank()) - 2;
  if (bias && bias.rank() != 1) fail(op, "the bias must have one dimension, got ", bias.shape());
  return {or_all(op, o.stride, n, 1), or_all(op, o.padding, n, 0), or_all(op, o.dilation, n, 1), o.groups};
}

Conv2dOptions flat(const Options& o) {  // of the last two spatial dimensions; a line has one
  size_t n = o.stride.size(), h = n - 2, w = n - 1;
  if (n == 1) return {1, o.stride[0], 0, o.padding[0], 1, o.dilation[0], o.groups};
  return {o.stride[h], o.stride[w], o.padding[h], o.padding[w], o.dilation[h], o.dilation[w], o.groups};
}

Tensor with_bias(const Tensor& y, const Tensor& bias) {
  if (!bias) return y;
  Ints shape(y.rank(), 1);
  shape[1] = -1;
  return y + reshape(bias, shape);
}

Tensor transposed2d(const Tensor& x, const Tensor& w, const Conv2dOptions& o, int64_t more_h, int64_t more_w) {
  if (o.groups < 1 || x.size(1) != w.size(0) || w.size(0) % o.groups)
    fail("conv_transpose", "channels do not fit: input ", x.shape(), ", weight ", w.shape(), ", groups ", o.groups);
  auto extent = [](int64_t in, int64_t k, int64_t stride, int64_t pad, int64_t dilation, int64_t more) {
    if (more < 0 || more >= stride)
      fail("conv_transpose", "output_padding ", more, " must be less than the stride ", stride);
    return (in - 1) * stride - 2 * pad + dilation * (k - 1) + more + 1;
  };
  Shape y{x.size(0), w.size(1) * o.groups, extent(x.size(2), w.size(2), o.stride_h, o.pad_h, o.dilation_h, more_h),
          extent(x.size(3), w.size(3), o.stride_w, o.pad_w, o.dilation_w, more_w)};
  return apply1<Conv2dGradInput>({x, w}, o, y);
}

// (n, c, d, h, w) <-> (n d, c, h, w)
Tensor by_depth(const Tensor& x) {
  return reshape(permute(x, {0, 2, 1, 3, 4}), {x.size(0) * x.size(2), x.size(1), x.size(3), x.size(4)});
}
Tensor by_channel(const Tensor& y, int64_t n) {
  return permute(reshape(y, {n, y.size(0) / n, y.size(1), y.size(2), y.size(3)}), {0, 2, 1, 3, 4});
}
Tensor kernel_slice(const Tensor& w, int64_t k) { return squeeze(slice(w, 2, k, k + 1), 2); }

Tensor conv3d(const Tensor& x, const Tensor& w, const Options& o) {
  int64_t span = o.dilation[0] * (w.size(2) - 1) + 1;
  Tensor padded = pad(x, {0, 0, 0, 0, o.padding[0], o.padding[0]});
  if (padded.size(2) < span) fail("conv", "a window of ", span, " does not fit into the depth ", padded.size(2));
  int64_t out = (padded.size(2) - span) / o.stride[0] + 1;
  Tensor y;
  for (int64_t k = 0; k < w.size(2); ++k) {
    int64_t start = k * o.dilation[0];
    Tensor met = slice(padded, 2, start, start + (out - 1) * o.stride[0] + 1, o.stride[0]);
    Tensor part = conv2d(by_depth(met), kernel_slice(w, k), {}, flat(o));
    y = y ? y + part : part;
  }
  return by_channel(y, x.size(0));
}

Tensor transposed3d(const Tensor& x, const Tensor& w, const Options& o, const Ints& more) {
  int64_t in = x.size(2), whole = (in - 1) * o.stride[0] + o.dilation[0] * (w.size(2) - 1) + 1 + more[0];
  if (more[0] < 0 || more[0] >= o.stride[0])
    fail("conv_transpose", "output_padding ", more[0], " must be less than the stride ", o.stride[0]);
  Tensor flat_x = by_depth(x), y;
  for (int64_t k = 0; k < w.size(2); ++k) {
    Tensor part = by_channel(transposed2d(flat_x, kernel_slice(w, k), flat(o), more[1], more[2]), x.size(0));
    if (!y) y = full({part.size(0), part.size(1), whole, part.size(3), part.size(4)}, 0, x.dtype(), x.device());
    double start = static_cast<double>(k * o.dilation[0]), step = static_cast<double>(o.stride[0]);
    y = index_add(y, 2, arange(start, start + static_cast<double>(in - 1) * step + 1, step, DType::i64, x.device()),
                  part);
  }
  return pad(y, {0, 0, 0, 0, -o.padding[0], -o.padding[0]});
}

}  // namespace

Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  Options o = check("conv", x, weight, bias, options);
  if (size_of(x.dtype()) == 2 && is_floating(x.dtype()))
    return cast(conv(cast(x, DType::f32), cast(weight, DType::f32), bias ? cast(bias, DType::f32) : bias, options),
                x.dtype());
  if (x.rank() == 4) return conv2d(x, weight, bias, flat(o));
  if (x.rank() == 5) return with_bias(conv3d(x, weight, o), bias);
  return squeeze(conv2d(unsqueeze(x, 2), unsqueeze(weight, 2), bias, flat(o)), 2);
}

Tensor conv_transpose(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options,
                      const std::vector<int64_t>& output_padding) {
  Options o = check("conv_transpose", x, weight, bias, options);
  Ints more = or_all("conv_transpose", output_padding, o.stride.size(), 0);
  if (size_of(x.dtype()) == 2 && is_floating(x.dtype()))
    return cast(conv_transpose(cast(x, DType::f32), cast(weight, DType::f32), bias ? cast(bias, DType::f32) : bias,
                               options, output_padding),
                x.dtype());
  if (x.rank() == 4) return with_bias(transposed2d(x, weight, flat(o), more[0], more[1]), bias);
  if (x.rank() == 5) return with_bias(transposed3d(x, weight, o, more), bias);
  return with_bias(squeeze(transposed2d(unsqueeze(x, 2), unsqueeze(weight, 2), flat(o), 0, more[0]), 2), bias);
}

}  // namespace ds

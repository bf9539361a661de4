// Padding, windows and pooling as compositions: windows are read by index tables, one a spatial dimension.
#include <algorithm>
#include <functional>
#include <numeric>

#include "engine/ops/conv.h"
#include "engine/ops/limits.h"

namespace ds {
namespace {

Ints dims_of(const Tensor& x) { return {x.shape().begin(), x.shape().end()}; }
Tensor indices(const Ints& v, Device d) {
  return Tensor::from<int64_t>(std::span<const int64_t>(v), {static_cast<int64_t>(v.size())}, d);
}

int64_t reflected(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

Tensor pad_by_index(const Tensor& x, int dim, int64_t before, int64_t after, PadMode mode) {
  int64_t n = x.shape()[dim];
  int64_t most = mode == PadMode::reflect ? n - 1 : mode == PadMode::circular ? n : INT64_MAX;
  if (before < 0 || after < 0 || std::max(before, after) > most || n == 0)
    fail("pad", "padding ", before, " and ", after, " does not fit dimension ", dim, " of ", x.shape());
  Ints at;
  for (int64_t i = -before; i < n + after; ++i)
    at.push_back(mode == PadMode::reflect     ? reflected(i, n)
                 : mode == PadMode::replicate ? std::clamp<int64_t>(i, 0, n - 1)
                                              : (i % n + n) % n);
  return take(x, indices(at, x.device()), dim);
}

// The places each window of one dimension reads: table[k * out + o]; as padded coordinates.
struct Table {
  int64_t kernel, out;
  Ints at;
};

Table regular(int64_t kernel, int64_t out, int64_t stride, int64_t dilation) {
  Table t{kernel, out, {}};
  for (int64_t k = 0; k < kernel; ++k)
    for (int64_t o = 0; o < out; ++o) t.at.push_back(o * stride + k * dilation);
  return t;
}

// Bins of uneven sizes: the last place is read again, which no maximum minds.
Table adaptive(int64_t n, int64_t out) {
  Table t{0, out, {}};
  auto start = [&](int64_t o) { return o * n / out; };
  auto stop = [&](int64_t o) { return ((o + 1) * n + out - 1) / out; };
  for (int64_t o = 0; o < out; ++o) t.kernel = std::max(t.kernel, stop(o) - start(o));
  for (int64_t k = 0; k < t.kernel; ++k)
    for (int64_t o = 0; o < out; ++o) t.at.push_back(std::min(start(o) + k, stop(o) - 1));
  return t;
}

// (batch..., spatial...) -> (batch..., outs..., product of kernels).
Tensor windows(const Tensor& x, const std::vector<Table>& tables) {
  int batch = x.rank() - static_cast<int>(tables.size());
  Tensor y = x;
  Ints shape(x.shape().begin(), x.shape().begin() + batch), result = shape, order(batch);
  std::iota(order.begin(), order.end(), 0);
  int64_t all = 1;
  for (size_t d = 0; d < tables.size(); ++d) {
    y = take(y, indices(tables[d].at, x.device()), batch + static_cast<int>(d));
    shape.insert(shape.end(), {tables[d].kernel, tables[d].out});
    result.push_back(tables[d].out);
    order.push_back(batch + 2 * static_cast<int64_t>(d) + 1);
    all *= tables[d].kernel;
  }
  for (size_t d = 0; d < tables.size(); ++d) order.push_back(batch + 2 * static_cast<int64_t>(d));
  result.push_back(all);
  return reshape(permute(reshape(y, shape), order), result);
}

// Leading dimensions as one: what is taken apart by dimension stays below the most that a shape has.
Tensor merged(const Tensor& x, size_t spatial) {
  Ints shape{-1};
  shape.insert(shape.end(), x.shape().end() - spatial, x.shape().end());
  if (x.numel() == 0) shape[0] = x.shape()[0];
  return reshape(x, shape);
}
Tensor unmerged(const Tensor& y, const Tensor& x, size_t spatial) {
  Ints shape(x.shape().begin(), x.shape().end() - spatial);
  shape.insert(shape.end(), y.shape().begin() + 1, y.shape().end());
  return reshape(y, shape);
}

void check_spatial(const char* op, const Tensor& x, size_t n) {
  if (n < 1 || n > 3 || x.rank() <= static_cast<int>(n))
    fail(op, n, " spatial dimensions of ", x.shape(), " are not one to three behind a batch");
}

int64_t pooled_extent(const char* op, int64_t n, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                      bool ceil_mode) {
  if (kernel < 1 || stride < 1 || padding < 0 || dilation < 1 || 2 * padding > kernel * dilation)
    fail(op, "kernel ", kernel, ", stride ", stride, ", padding ", padding, ", dilation ", dilation,
         " are not allowed");
  int64_t room = n + 2 * padding - dilation * (kernel - 1) - 1;
  if (room < 0)
    fail(op, "a window of ", dilation * (kernel - 1) + 1, " does not fit into ", n, " with padding ", padding);
  int64_t out = (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
  return ceil_mode && (out - 1) * stride >= n + padding ? out - 1 : out;
}

struct PoolPlan {
  std::vector<Table> tables;
  Ints pads;  // as pad() takes them
  Ints kernel, stride, padding;
};

PoolPlan describe(const char* op, const Tensor& x, const PoolOptions& o) {
  size_t n = o.kernel.size();
  check_spatial(op, x, n);
  PoolPlan p;
  p.kernel = o.kernel, p.stride = or_all(op, o.stride.empty() ? o.kernel : o.stride, n, 1);
  p.padding = or_all(op, o.padding, n, 0);
  Ints dilation = or_all(op, o.dilation, n, 1);
  for (size_t i = 0; i < n; ++i) {
    int64_t in = x.size(static_cast<int64_t>(i) - static_cast<int64_t>(n));
    int64_t out = pooled_extent(op, in, p.kernel[i], p.stride[i], p.padding[i], dilation[i], o.ceil_mode);
    p.tables.push_back(regular(p.kernel[i], out, p.stride[i], dilation[i]));
    int64_t last = (out - 1) * p.stride[i] + dilation[i] * (p.kernel[i] - 1) + 1;
    p.pads.insert(p.pads.begin(), {p.padding[i], std::max<int64_t>(0, last - in - p.padding[i])});
  }
  return p;
}

Pooled largest(const Tensor& x, const std::vector<Table>& tables, const Ints& pads) {
  size_t n = tables.size();
  Tensor flat = merged(x, n);
  Ints spatial(x.shape().end() - n, x.shape().end());
  Tensor place =
      arange(0, static_cast<double>(Shape{std::span<const int64_t>(spatial)}.numel()), 1, DType::i64, x.device());
  spatial.insert(spatial.begin(), 1);
  place = reshape(place, spatial);
  double lowest = lowest_of(x.dtype());
  if (!pads.empty()) flat = pad(flat, pads, PadMode::constant, lowest), place = pad(place, pads);
  Tensor w = windows(flat, tables), at = argmax(w, -1, true);
  Tensor from = broadcast_to(windows(place, tables), w.shape());
  return {unmerged(squeeze(gather(w, -1, at), -1), x, n), unmerged(squeeze(gather(from, -1, at), -1), x, n)};
}

// One spatial dimension's worth of dividing: the elements of each window that count.
Tensor counts(const PoolPlan& p, size_t i, int64_t in, bool with_padding, const Tensor& like_this) {
  std::vector<double> out;
  for (int64_t o = 0; o < p.tables[i].out; ++o) {
    int64_t start = o * p.stride[i] - p.padding[i], stop = std::min(start + p.kernel[i], in + p.padding[i]);
    if (!with_padding) start = std::max<int64_t>(start, 0), stop = std::min(stop, in);
    out.push_back(static_cast<double>(stop - start));
  }
  Ints shape(p.tables.size() - i, 1);
  shape[0] = static_cast<int64_t>(out.size());
  return cast(
      Tensor::from<double>(std::span<const double>(out), Shape{std::span<const int64_t>(shape)}, like_this.device()),
      like_this.dtype());
}

}  // namespace

Tensor pad(const Tensor& x, const std::vector<int64_t>& pads, PadMode mode, double value) {
  if (pads.size() % 2 || static_cast<int>(pads.size() / 2) > x.rank())
    fail("pad", pads.size(), " paddings were given for ", x.shape());
  Tensor y = x;
  Ints start(x.rank(), 0), shape = dims_of(x), step(x.rank(), 1);
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    int d = x.rank() - 1 - static_cast<int>(i);
    int64_t before = pads[2 * i], after = pads[2 * i + 1];
    if (mode != PadMode::constant) {
      if (before || after) y = pad_by_index(y, d, before, after, mode);
      continue;
    }
    int64_t from = std::max<int64_t>(-before, 0), to = shape[d] - std::max<int64_t>(-after, 0);
    if (to < from)
      fail("pad", "padding ", before, " and ", after, " leaves nothing of dimension ", d, " of ", x.shape());
    if (before < 0 || after < 0) y = slice(y, d, from, to);
    start[d] = std::max<int64_t>(before, 0);
    shape[d] = to - from + start[d] + std::max<int64_t>(after, 0);
  }
  if (mode != PadMode::constant || dims_of(y) == shape) return y;
  return slice_update(full(Shape{std::span<const int64_t>(shape)}, value, x.dtype(), x.device()), y, start, dims_of(y),
                      step);
}

Tensor unfold(const Tensor& x, const WindowOptions& o) {
  if (x.rank() != 4 || o.kernel.size() != 2) fail("unfold", "(batch,channels,height,width) is needed, got ", x.shape());
  PoolPlan p = describe("unfold", x, {o.kernel, or_all("unfold", o.stride, 2, 1), Ints{}, o.dilation});
  Ints padding = or_all("unfold", o.padding, 2, 0);
  if (padding[0] || padding[1])
    return unfold(pad(x, {padding[1], padding[1], padding[0], padding[0]}), {o.kernel, o.stride, {}, o.dilation});
  Tensor w = windows(x, p.tables);  // (n, c, oh, ow, kh * kw)
  return reshape(permute(w, {0, 1, 4, 2, 3}), {x.size(0), x.size(1) * w.size(4), w.size(2) * w.size(3)});
}

Tensor fold(const Tensor& columns, const std::vector<int64_t>& output_size, const WindowOptions& o) {
  if (columns.rank() != 3 || o.kernel.size() != 2 || output_size.size() != 2)
    fail("fold", "(batch,channels*kh*kw,windows) is needed, got ", columns.shape());
  Ints padding = or_all("fold", o.padding, 2, 0), stride = or_all("fold", o.stride, 2, 1),
       dilation = or_all("fold", o.dilation, 2, 1);
  std::vector<Table> t;
  for (int i = 0; i < 2; ++i) {
    int64_t out = pooled_extent("fold", output_size[i] + 2 * padding[i], o.kernel[i], stride[i], 0, dilation[i], false);
    t.push_back(regular(o.kernel[i], out, stride[i], dilation[i]));
  }
  int64_t n = columns.size(0), window = o.kernel[0] * o.kernel[1];
  if (columns.size(1) % window || columns.size(2) != t[0].out * t[1].out)
    fail("fold", columns.shape(), " is not ", t[0].out * t[1].out, " windows of a multiple of ", window);
  int64_t c = columns.size(1) / window, h = output_size[0] + 2 * padding[0], w = output_size[1] + 2 * padding[1];
  Tensor x = permute(reshape(columns, {n, c, o.kernel[0], o.kernel[1], t[0].out, t[1].out}), {0, 1, 2, 4, 3, 5});
  x = reshape(x, {n, c, o.kernel[0] * t[0].out, o.kernel[1] * t[1].out});
  Device d = x.device();
  x = index_add(full({n, c, h, x.size(3)}, 0, x.dtype(), d), 2, indices(t[0].at, d), x);
  x = index_add(full({n, c, h, w}, 0, x.dtype(), d), 3, indices(t[1].at, d), x);
  return pad(x, {-padding[1], -padding[1], -padding[0], -padding[0]});
}

Pooled max_pool(const Tensor& x, const PoolOptions& o) {
  PoolPlan p = describe("max_pool", x, o);
  bool padded = std::any_of(p.pads.begin(), p.pads.end(), [](int64_t v) { return v != 0; });
  return largest(x, p.tables, padded ? p.pads : Ints{});
}

// The sum over a box is a sum along each of its dimensions.
Tensor avg_pool(const Tensor& x, const PoolOptions& o) {
  check_domain("avg_pool", x.type(), Domain::floating);
  PoolPlan p = describe("avg_pool", x, o);
  size_t n = p.tables.size();
  Tensor y = pad(merged(x, n), p.pads);
  for (size_t i = 0; i < n; ++i) {
    int d = 1 + static_cast<int>(i);
    y = take(y, indices(p.tables[i].at, x.device()), d);
    Ints shape = dims_of(y);
    shape[d] = p.tables[i].kernel;
    shape.insert(shape.begin() + d + 1, p.tables[i].out);
    y = sum(reshape(y, shape), {d});
  }
  if (o.divisor != 0) return unmerged(y * (1 / o.divisor), x, n);
  Tensor by;
  for (size_t i = 0; i < n; ++i) {
    Tensor c = counts(p, i, x.size(static_cast<int64_t>(i) - static_cast<int64_t>(n)), o.count_include_pad, x);
    by = by ? by * c : c;
  }
  return unmerged(y / by, x, n);
}

Pooled adaptive_max_pool(const Tensor& x, const std::vector<int64_t>& output_size) {
  check_spatial("adaptive_max_pool", x, output_size.size());
  std::vector<Table> t;
  for (size_t i = 0; i < output_size.size(); ++i)
    t.push_back(adaptive(x.size(static_cast<int64_t>(i) - static_cast<int64_t>(output_size.size())), output_size[i]));
  return largest(x, t, {});
}

Tensor adaptive_avg_pool(const Tensor& x, const std::vector<int64_t>& output_size) {
  check_domain("adaptive_avg_pool", x.type(), Domain::floating);
  size_t n = output_size.size();
  check_spatial("adaptive_avg_pool", x, n);
  Tensor y = merged(x, n);
  for (size_t i = 0; i < n; ++i) {
    int d = 1 + static_cast<int>(i);
    int64_t in = y.shape()[d], out = output_size[i];
    std::vector<double> weight(static_cast<size_t>(in * out), 0);
    for (int64_t o = 0; o < out; ++o) {
      int64_t start = o * in / out, stop = ((o + 1) * in + out - 1) / out;
      for (int64_t k = start; k < stop; ++k) weight[k * out + o] = 1.0 / static_cast<double>(stop - start);
    }
    Tensor w = cast(Tensor::from<double>(std::span<const double>(weight), {in, out}, x.device()), x.dtype());
    y = transpose(matmul(transpose(y, d, -1), w), d, -1);
  }
  return unmerged(y, x, n);
}

}  // namespace ds

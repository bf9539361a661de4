// Functions over running results and sorting, and those whose results' shapes depend on the values.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/ops/scan.h"

namespace ds {
namespace {

using kernels::Scan;

Tensor as_row(const Tensor& x) { return x.rank() == 0 ? reshape(x, {1}) : x; }
Tensor back(const Tensor& y, const Tensor& x) { return x.rank() == 0 ? reshape(y, {}) : y; }
int along(const char* op, int64_t dim, const Tensor& x) { return normalize_dim(op, dim, std::max(x.rank(), 1)); }

std::vector<Tensor> apply_all(std::unique_ptr<const Op> op, const Tensor& x) { return append(std::move(op), {x}); }

Tensor running(const char* op, Scan how, const Tensor& x, int64_t dim) {
  int d = along(op, dim, x);
  Tensor wide = is_floating(x.dtype()) || is_complex(x.dtype()) ? x : cast(x, DType::i64);
  return back(apply1<ScanOp>({as_row(wide)}, how, d), x);
}

Ranked extreme(const char* op, Scan how, const Tensor& x, int64_t dim) {
  auto out = apply_all(std::make_unique<ScanOp>(how, along(op, dim, x)), as_row(x));
  return {back(out[0], x), back(out[1], x)};
}

Tensor pick(const Tensor& x, int64_t i, int d, bool keepdim) {
  Tensor y = slice(x, d, i, i + 1);
  return keepdim ? y : squeeze(y, d);
}

std::vector<double> host_doubles(const Tensor& x) { return cast(x, DType::f64).to_vector<double>(); }

template <class T>
Tensor on_device(const std::vector<T>& v, const Shape& shape, Device d) {
  return Tensor::from<T>(std::span<const T>(v), shape, d);
}

// Row-major positions of the elements that are not 0.
std::vector<int64_t> positions(const Tensor& x) {
  std::vector<int64_t> out;
  auto bytes = cast(cast(x, DType::boolean), DType::u8).to_vector<uint8_t>();
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i]) out.push_back(static_cast<int64_t>(i));
  return out;
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) { return running("cumsum", Scan::sum, x, dim); }
Tensor cumprod(const Tensor& x, int64_t dim) { return running("cumprod", Scan::prod, x, dim); }
Tensor logcumsumexp(const Tensor& x, int64_t dim) {
  check_domain("logcumsumexp", x.type(), Domain::floating);
  return running("logcumsumexp", Scan::logsumexp, x, dim);
}
Ranked cummax(const Tensor& x, int64_t dim) { return extreme("cummax", Scan::max, x, dim); }
Ranked cummin(const Tensor& x, int64_t dim) { return extreme("cummin", Scan::min, x, dim); }

Ranked sort(const Tensor& x, int64_t dim, bool descending) {
  auto out = apply_all(std::make_unique<SortOp>(along("sort", dim, x), descending), as_row(x));
  return {back(out[0], x), back(out[1], x)};
}

Tensor argsort(const Tensor& x, int64_t dim, bool descending) { return sort(x, dim, descending).indices; }

Ranked topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  int d = along("topk", dim, x);
  Tensor row = as_row(x);
  if (k < 0 || k > row.shape()[d]) fail("topk", "k is ", k, ", dimension ", dim, " of ", x.shape(), " has fewer");
  Ranked r = sort(row, d, largest);
  Ranked y{slice(r.values, d, 0, k), slice(r.indices, d, 0, k)};
  return x.rank() == 0 && k == 1 ? Ranked{back(y.values, x), back(y.indices, x)} : y;
}

Ranked kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
  int d = along("kthvalue", dim, x);
  Tensor row = as_row(x);
  if (k < 1 || k > row.shape()[d]) fail("kthvalue", "k is ", k, " for dimension ", dim, " of ", x.shape());
  Ranked r = sort(row, d);
  keepdim &= x.rank() > 0;
  return {pick(r.values, k - 1, d, keepdim), pick(r.indices, k - 1, d, keepdim)};
}

// Sorted, a NaN stands last: where there is one, it is the median.
Ranked median(const Tensor& x, int64_t dim, bool keepdim) {
  int d = along("median", dim, x);
  Tensor row = as_row(x);
  int64_t n = row.shape()[d];
  if (n == 0) fail("median", "dimension ", dim, " of ", x.shape(), " is empty");
  Ranked r = sort(row, d), middle{pick(r.values, (n - 1) / 2, d, true), pick(r.indices, (n - 1) / 2, d, true)};
  if (is_floating(x.dtype())) {
    Tensor last = pick(r.values, n - 1, d, true), bad = isnan(last);
    Tensor nan_at = argmax(row, d, true);  // the first NaN
    middle = {where(bad, last, middle.values), where(bad, nan_at, middle.indices)};
  }
  if (keepdim && x.rank() > 0) return middle;
  return {squeeze(middle.values, d), squeeze(middle.indices, d)};
}

Tensor quantile(const Tensor& x, double q, int64_t dim, bool keepdim, Interpolation how) {
  check_domain("quantile", x.type(), Domain::floating);
  if (!(q >= 0 && q <= 1)) fail("quantile", "q must be in [0, 1], got ", q);
  int d = along("quantile", dim, x);
  Tensor row = as_row(x);
  int64_t n = row.shape()[d];
  if (n == 0) fail("quantile", "dimension ", dim, " of ", x.shape(), " is empty");
  double place = q * static_cast<double>(n - 1), below = std::floor(place), share = place - below;
  if (how == Interpolation::lower) share = 0;
  if (how == Interpolation::higher) share = share > 0 ? 1 : 0;
  if (how == Interpolation::midpoint) share = share > 0 ? 0.5 : 0;
  if (how == Interpolation::nearest) share = std::nearbyint(place) - below;
  auto low = static_cast<int64_t>(below), high = std::min(low + 1, n - 1);
  Tensor s = sort(row, d).values, a = pick(s, low, d, true), b = pick(s, high, d, true);
  Tensor y = share == 0 ? a : share == 1 ? b : a + (b - a) * share;
  Tensor last = pick(s, n - 1, d, true);
  y = where(isnan(last), last, y);
  return keepdim && x.rank() > 0 ? y : squeeze(y, d);
}

Tensor nonzero(const Tensor& x) {
  std::vector<int64_t> at = positions(x), out;
  Shape strides = contiguous_strides(x.shape());
  for (int64_t p : at)
    for (int d = 0; d < x.rank(); ++d) out.push_back(p / strides[d] % x.shape()[d]);
  return on_device(out, {static_cast<int64_t>(at.size()), x.rank()}, x.device());
}

Unique unique(const Tensor& x) {
  Tensor flat = reshape(contiguous(x.detach()), {-1});
  int64_t n = flat.numel();
  Ranked r = sort(flat, 0);
  std::vector<int64_t> order = r.indices.to_vector<int64_t>(), starts, inverse(n), counts, first;
  std::vector<uint8_t> differs(std::max<int64_t>(n, 1), 1);
  if (n > 1) {
    auto d = cast(not_equal(slice(r.values, 0, 1, n), slice(r.values, 0, 0, n - 1)), DType::u8).to_vector<uint8_t>();
    std::copy(d.begin(), d.end(), differs.begin() + 1);
  }
  for (int64_t i = 0; i < n; ++i) {
    if (differs[i]) starts.push_back(i), counts.push_back(0), first.push_back(order[i]);
    ++counts.back();
    first.back() = std::min(first.back(), order[i]);
    inverse[order[i]] = static_cast<int64_t>(starts.size()) - 1;
  }
  Shape shape{static_cast<int64_t>(starts.size())};
  Device d = x.device();
  return {take(r.values, on_device(starts, shape, d), 0), on_device(inverse, x.shape(), d), on_device(counts, shape, d),
          on_device(first, shape, d)};
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  if (sorted.rank() != 1) fail("searchsorted", "the sorted values must have one dimension, got ", sorted.shape());
  std::vector<int64_t> out;
  auto find = [&](const auto& s, const auto& v) {
    auto before = [](auto a, auto b) { return a < b || (b != b && a == a); };
    for (auto x : v) {
      auto at =
          right ? std::upper_bound(s.begin(), s.end(), x, before) : std::lower_bound(s.begin(), s.end(), x, before);
      out.push_back(at - s.begin());
    }
  };
  if (is_floating(sorted.dtype()) || is_floating(values.dtype()))
    find(host_doubles(sorted), host_doubles(values));
  else
    find(cast(sorted, DType::i64).to_vector<int64_t>(), cast(values, DType::i64).to_vector<int64_t>());
  return on_device(out, values.shape(), values.device());
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  if (x.rank() != 1 || is_floating(x.dtype())) fail("bincount", "integers of one dimension are needed, got ", x.type());
  if (weights && !(weights.shape() == x.shape()))
    fail("bincount", "weights ", weights.shape(), " and ", x.shape(), " differ");
  auto v = cast(x, DType::i64).to_vector<int64_t>();
  int64_t size = minlength;
  for (int64_t i : v) {
    if (i < 0) fail("bincount", "negative value ", i);
    size = std::max(size, i + 1);
  }
  Tensor one = weights ? weights : full(x.shape(), 1, DType::i64, x.device());
  if (weights && !is_floating(weights.dtype())) one = cast(weights, DType::f64);
  return index_add(full({size}, 0, one.dtype(), x.device()), 0, cast(x, DType::i64), one);
}

Tensor histc(const Tensor& x, int64_t bins, double low, double high) {
  if (bins < 1) fail("histc", "at least one bin is needed, got ", bins);
  std::vector<double> v = host_doubles(reshape(x, {-1}));
  if (low == high && !v.empty()) {
    low = *std::min_element(v.begin(), v.end()), high = *std::max_element(v.begin(), v.end());
    if (low == high) low -= 1, high += 1;
  }
  if (!(low <= high)) fail("histc", "the range ", low, " to ", high, " is not one");
  std::vector<double> out(bins, 0);
  for (double e : v)
    if (e >= low && e <= high)
      ++out[std::min<int64_t>(bins - 1, static_cast<int64_t>((e - low) / (high - low) * static_cast<double>(bins)))];
  return cast(on_device(out, {bins}, x.device()), x.dtype());
}

}  // namespace ds

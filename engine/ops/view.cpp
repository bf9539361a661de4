#include "engine/ops/view.h"

#include <algorithm>

#include "engine/lazy/executor.h"
#include "engine/lazy/node.h"
#include "engine/ops/create.h"

namespace ds {
namespace {

// Strides that see `from` (with `strides`) as `to`, when no copy is needed. Follows NumPy's rule: every run of
// dimensions that is merged or split must be contiguous in itself.
bool reshape_strides(const Shape& from, const Shape& strides, const Shape& to, Shape& out) {
  out = contiguous_strides(to);
  if (to.numel() == 0) return true;
  int i = 0, j = 0;
  while (i < from.rank() || j < to.rank()) {
    if (i < from.rank() && from[i] == 1) {
      ++i;
      continue;
    }
    if (j < to.rank() && to[j] == 1) {
      ++j;
      continue;
    }
    int64_t a = from[i], b = to[j];
    int i0 = i, j0 = j;
    while (a != b) {
      if (a < b)
        a *= from[++i];
      else
        b *= to[++j];
    }
    for (int k = i0; k < i; ++k)
      if (strides[k] != strides[k + 1] * from[k + 1]) return false;
    int64_t step = strides[i];
    for (int k = j; k >= j0; --k) {
      out[k] = step;
      step *= to[k];
    }
    ++i, ++j;
  }
  return true;
}

Tensor sum_to(const Tensor& g, const Shape& shape) {
  std::vector<int64_t> dims;
  int extra = g.rank() - shape.rank();
  for (int i = 0; i < g.rank(); ++i)
    if (i < extra || (shape[i - extra] == 1 && g.shape()[i] != 1)) dims.push_back(i);
  return reshape(dims.empty() ? g : sum(g, dims), {shape.begin(), shape.end()});
}

}  // namespace

static_assert(kMaxDims <= kernels::kMaxRank, "every shape is an iteration space");

kernels::EwSpace collapse(const Shape& shape, std::span<Shape> strides) {
  kernels::EwSpace space{};
  SmallVector<Shape, 6> merged(strides.size());
  int rank = 0;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    bool join = rank > 0;
    for (size_t k = 0; join && k < strides.size(); ++k) join = merged[k][rank - 1] == strides[k][d] * shape[d];
    if (join) {
      space.extent[rank - 1] *= shape[d];
      for (size_t k = 0; k < strides.size(); ++k) merged[k][rank - 1] = strides[k][d];
      continue;
    }
    space.extent[rank] = shape[d];
    for (size_t k = 0; k < strides.size(); ++k) {
      merged[k].push_back(0);
      merged[k][rank] = strides[k][d];  // may be negative, which no extent is
    }
    ++rank;
  }
  space.rank = rank;
  for (size_t k = 0; k < strides.size(); ++k) strides[k] = merged[k];
  return space;
}

Types Reshape::infer(std::span<const Type> in) const {
  if (in[0].shape.numel() != shape_.numel())
    fail("reshape", in[0].shape, " has ", in[0].shape.numel(), " elements, ", shape_, " has ", shape_.numel());
  return {{in[0].dtype, shape_}};
}

Grads Reshape::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {reshape(grads[0], {in[0].shape().begin(), in[0].shape().end()})};
}

void Reshape::eval(Execution& e) const {
  const Value& x = e.input(0);
  Value y = x;
  if (!reshape_strides(e.input_type(0).shape, x.strides, shape_, y.strides)) {
    y = make_contiguous(x, e.input_type(0), x.storage->device());
    y.strides = contiguous_strides(shape_);
  }
  e.alias(0, std::move(y));
}

bool swaps_last(const std::vector<int64_t>& dims) {
  auto n = static_cast<int64_t>(dims.size());
  if (n < 2 || dims[n - 2] != n - 1 || dims[n - 1] != n - 2) return false;
  return std::is_sorted(dims.begin(), dims.end() - 2);
}

Types Permute::infer(std::span<const Type> in) const {
  Type t{in[0].dtype, {}};
  for (int64_t d : dims_) t.shape.push_back(in[0].shape[static_cast<int>(d)]);
  return {t};
}

Grads Permute::vjp(TensorSpan, TensorSpan, TensorSpan grads) const {
  std::vector<int64_t> inverse(dims_.size());
  for (size_t i = 0; i < dims_.size(); ++i) inverse[dims_[i]] = static_cast<int64_t>(i);
  return {permute(grads[0], inverse)};
}

void Permute::eval(Execution& e) const {
  Value y = e.input(0);
  for (size_t i = 0; i < dims_.size(); ++i)
    y.strides[static_cast<int>(i)] = e.input(0).strides[static_cast<int>(dims_[i])];
  e.alias(0, std::move(y));
}

Types Broadcast::infer(std::span<const Type> in) const {
  if (!(broadcast_shapes("broadcast_to", in[0].shape, shape_) == shape_))
    fail("broadcast_to", in[0].shape, " does not broadcast to ", shape_);
  return {{in[0].dtype, shape_}};
}

Grads Broadcast::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const { return {sum_to(grads[0], in[0].shape())}; }

void Broadcast::eval(Execution& e) const {
  const Shape& from = e.input_type(0).shape;
  Value y = e.input(0);
  Shape strides = shape_;
  int extra = shape_.rank() - from.rank();
  for (int i = 0; i < shape_.rank(); ++i)
    strides[i] = i < extra || (from[i - extra] == 1 && shape_[i] != 1) ? 0 : y.strides[i - extra];
  y.strides = strides;
  e.alias(0, std::move(y));
}

Types Slice::infer(std::span<const Type> in) const {
  Type t = in[0];
  t.shape[dim_] = count_;
  return {t};
}

Grads Slice::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<SlicePut>({grads[0]}, in[0].shape(), dim_, start_, step_)};
}

void Slice::eval(Execution& e) const {
  Value y = e.input(0);
  if (count_ > 0) y.offset += start_ * y.strides[dim_];
  y.strides[dim_] *= step_;
  e.alias(0, std::move(y));
}

Grads SlicePut::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<Slice>({grads[0]}, dim_, start_, in[0].size(dim_), step_)};
}

void SlicePut::eval(Execution& e) const {
  const Type& type = e.output_type(0);
  const Shape& from = e.input_type(0).shape;
  char* out = static_cast<char*>(e.output(0));
  e.kernels().fill(e.context(), type.dtype, out, shape_.numel(), 0);
  if (from.numel() == 0) return;
  Shape strides[] = {contiguous_strides(shape_), contiguous_strides(from)};
  out += start_ * strides[0][dim_] * static_cast<int64_t>(size_of(type.dtype));
  strides[0][dim_] *= step_;
  kernels::EwSpace space = collapse(from, strides);
  e.kernels().scatter_strided(e.context(), type.dtype, out, space, strides[0].begin(), e.contiguous(0));
}

Types Concat::infer(std::span<const Type> in) const {
  Type t = in[0];
  for (size_t i = 1; i < in.size(); ++i) {
    Shape other = in[i].shape;
    if (other.rank() == t.shape.rank()) other[dim_] = t.shape[dim_];
    if (in[i].dtype != t.dtype || other.rank() != t.shape.rank())
      fail("concat", "input ", i, " is ", in[i], ", input 0 is ", in[0]);
    Shape same = t.shape;
    same[dim_] = other[dim_];
    if (!(same == other))
      fail("concat", "input ", i, " is ", in[i], ", input 0 is ", in[0], "; only dimension ", dim_, " may differ");
    t.shape[dim_] += in[i].shape[dim_];
  }
  return {t};
}

Grads Concat::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  Grads out;
  int64_t start = 0;
  for (const Tensor& x : in) {
    out.push_back(slice(grads[0], dim_, start, start + x.size(dim_)));
    start += x.size(dim_);
  }
  return out;
}

void Concat::eval(Execution& e) const {
  const Type& type = e.output_type(0);
  Shape whole = contiguous_strides(type.shape);
  char* out = static_cast<char*>(e.output(0));
  int64_t parts = 0;
  for (int i = 0; parts < type.shape[dim_]; ++i) {
    const Shape& from = e.input_type(i).shape;
    if (from.numel() > 0) {
      Shape strides[] = {whole, contiguous_strides(from)};
      kernels::EwSpace space = collapse(from, strides);
      e.kernels().scatter_strided(e.context(), type.dtype,
                                  out + parts * whole[dim_] * static_cast<int64_t>(size_of(type.dtype)), space,
                                  strides[0].begin(), e.contiguous(i));
    }
    parts += from[dim_];
  }
}

void Contiguous::eval(Execution& e) const {
  const Value& x = e.input(0);
  if (x.contiguous(e.input_type(0).shape)) return e.alias(0, x);
  e.alias(0, make_contiguous(x, e.input_type(0), x.storage->device()));
}

// ---- made again

Made Reshape::make(const Given& g) {
  g.takes(1);
  return std::make_unique<Reshape>(g.shape("shape"));
}

Made Permute::make(const Given& g) {
  g.takes(1);
  std::vector<int64_t> dims = g.list("dims", g.inputs()[0].shape.rank(), 0), sorted = dims;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<int64_t>(i)) fail(g.op(), "\"dims\" is no order of ", sorted.size(), " dimensions");
  return std::make_unique<Permute>(std::move(dims));
}

Made Broadcast::make(const Given& g) {
  g.takes(1);
  return std::make_unique<Broadcast>(g.shape("shape"));
}

namespace {

// Elements start, start + step, ... of `extent`.
void check_steps(const Given& g, int64_t extent, int64_t start, int64_t count, int64_t step) {
  bool small = count >= 0 && count <= extent && step != 0 && std::abs(step) <= std::max<int64_t>(extent, 1);
  int64_t last = small && count > 0 ? start + (count - 1) * step : 0;
  if (!small || (count > 0 && (start < 0 || start >= extent || last < 0 || last >= extent)))
    fail(g.op(), count, " elements from ", start, " by ", step, " are not within ", extent);
}

}  // namespace

Made Slice::make(const Given& g) {
  g.takes(1);
  int dim = g.dim("dim");
  int64_t extent = g.inputs()[0].shape[dim], count = g.integer("count");
  int64_t start = g.integer("start", 0, extent), step = count > 1 ? g.integer("step", -extent, extent) : 1;
  check_steps(g, extent, start, count, step);
  return std::make_unique<Slice>(dim, start, count, step);
}

Made SlicePut::make(const Given& g) {
  g.takes(1);
  Shape shape = g.shape("shape"), rest = g.inputs()[0].shape;
  int dim = g.dim("dim");
  if (shape.rank() != rest.rank()) fail(g.op(), rest, " does not go into ", shape);
  int64_t start = g.integer("start", 0, shape[dim]), count = rest[dim], step = g.integer("step");
  check_steps(g, shape[dim], start, count, step);
  rest[dim] = shape[dim];
  if (!(rest == shape)) fail(g.op(), g.inputs()[0].shape, " does not go into ", shape);
  return std::make_unique<SlicePut>(shape, dim, start, step);
}

Made Concat::make(const Given& g) {
  if (g.inputs().empty()) fail(g.op(), "takes at least 1 input");
  return std::make_unique<Concat>(g.dim("dim"));
}

Made Contiguous::make(const Given& g) {
  g.takes(1);
  return std::make_unique<Contiguous>();
}

// ---- functions

Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape) {
  std::vector<int64_t> dims = shape;
  int64_t known = 1;
  int unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1 && unknown >= 0) fail("reshape", "more than one -1 in the shape");
    if (dims[i] == -1)
      unknown = static_cast<int>(i);
    else
      known *= dims[i];
  }
  if (unknown >= 0) {
    if (known == 0 || x.numel() % known)
      fail("reshape", x.shape(), " does not divide into the ", known, " of the other dimensions");
    dims[unknown] = x.numel() / known;
  }
  Shape to{std::span<const int64_t>(dims)};
  return to == x.shape() ? x : apply1<Reshape>({x}, to);
}

Tensor permute(const Tensor& x, const std::vector<int64_t>& dims) {
  if (static_cast<int>(dims.size()) != x.rank()) fail("permute", dims.size(), " dimensions were given for ", x.shape());
  std::vector<int64_t> order;
  std::vector<bool> seen(dims.size());
  for (int64_t d : dims) {
    int n = normalize_dim("permute", d, x.rank());
    if (seen[n]) fail("permute", "dimension ", d, " is given twice");
    seen[n] = true;
    order.push_back(n);
  }
  return std::is_sorted(order.begin(), order.end()) ? x : apply1<Permute>({x}, std::move(order));
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  std::vector<int64_t> dims(x.rank());
  for (int i = 0; i < x.rank(); ++i) dims[i] = i;
  std::swap(dims[normalize_dim("transpose", dim0, x.rank())], dims[normalize_dim("transpose", dim1, x.rank())]);
  return permute(x, dims);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const Full* constant = x.rank() == 0 ? known_constant(x) : nullptr;
  return constant ? full(shape, constant->value(), x.dtype(), x.device()) : apply1<Broadcast>({x}, shape);
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  int d = normalize_dim("slice", dim, x.rank());
  if (step < 1) fail("slice", "the step must be positive, got ", step);
  int64_t n = x.shape()[d];
  auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  start = clamp(start), stop = clamp(stop);
  int64_t count = stop > start ? (stop - start + step - 1) / step : 0;
  return count == n ? x : apply1<Slice>({x}, d, start, count, step);
}

Tensor flatten(const Tensor& x, int64_t from) {
  int d = x.rank() ? normalize_dim("flatten", from, x.rank()) : 0;
  std::vector<int64_t> shape(x.shape().begin(), x.shape().begin() + d);
  int64_t rest = 1;
  for (int i = d; i < x.rank(); ++i) rest *= x.shape()[i];
  shape.push_back(rest);
  return reshape(x, shape);
}

Tensor squeeze(const Tensor& x, int64_t dim) {
  int d = normalize_dim("squeeze", dim, x.rank());
  if (x.shape()[d] != 1) fail("squeeze", "dimension ", dim, " of ", x.shape(), " is not 1");
  std::vector<int64_t> shape(x.shape().begin(), x.shape().end());
  shape.erase(shape.begin() + d);
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  int d = normalize_dim("unsqueeze", dim, x.rank() + 1);
  std::vector<int64_t> shape(x.shape().begin(), x.shape().end());
  shape.insert(shape.begin() + d, 1);
  return reshape(x, shape);
}

Tensor concat(const std::vector<Tensor>& xs, int64_t dim) {
  if (xs.empty()) fail("concat", "no tensors were given");
  return apply1<Concat>(xs, normalize_dim("concat", dim, xs[0].rank()));
}

Tensor contiguous(const Tensor& x) { return apply1<Contiguous>({x}); }

}  // namespace ds

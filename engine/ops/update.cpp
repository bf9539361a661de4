#include "engine/ops/update.h"

#include <algorithm>

#include "engine/lazy/node.h"
#include "engine/ops/around.h"
#include "engine/ops/index.h"
#include "engine/ops/limits.h"
#include "engine/ops/view.h"

namespace ds {
namespace {

using kernels::Write;

Shape shape_of(const std::vector<int64_t>& dims) { return Shape{std::span<const int64_t>(dims)}; }

// The base's elements as output 0: where they stand already, or a copy.
char* base_as_output(Execution& e) {
  const Type& t = e.output_type(0);
  auto* out = static_cast<char*>(e.output_over(0, 0));
  const Value& base = e.input(0);
  if (t.shape.numel() == 0 || out == base.data(t.dtype)) return out;
  Shape strides[] = {base.strides, contiguous_strides(t.shape)};
  kernels::EwSpace space = collapse(t.shape, strides);
  kernels::EwInput in{base.data(t.dtype), {}};
  std::copy(strides[0].begin(), strides[0].end(), in.stride.begin());
  e.kernels().copy(e.context(), t.dtype, out, space, in);
  return out;
}

void check_box(const char* op, const Shape& x, const Box& b) {
  auto rank = static_cast<size_t>(x.rank());
  if (b.start.size() != rank || b.count.size() != rank || b.step.size() != rank)
    fail(op, "start, count and step are needed for each dimension of ", x);
  for (int d = 0; d < x.rank(); ++d) {
    int64_t first = b.start[d], last = first + (b.count[d] - 1) * b.step[d];
    if (b.count[d] < 0 || b.step[d] == 0) fail(op, "count ", b.count[d], ", step ", b.step[d], " in dimension ", d);
    if (b.count[d] > 0 && (std::min(first, last) < 0 || std::max(first, last) >= x[d]))
      fail(op, "elements ", first, " to ", last, " of dimension ", d, " are outside of ", x);
  }
}

Tensor read(const Tensor& x, const Tensor& index, int dim, bool each) {
  return each ? apply1<GatherOp>({x, index}, dim) : apply1<TakeOp>({x, index}, dim);
}
Tensor write(Write how, const Tensor& x, const Tensor& index, const Tensor& value, int dim) {
  return apply1<IndexUpdate>({x, index, value}, how, dim);
}

// Among values that go to one element the last wins, and only it has a gradient.
Tensor winners(const Shape& base, const Tensor& index, const Tensor& value, int dim, bool each) {
  Tensor number = reshape(arange(0, static_cast<double>(value.numel()), 1, DType::i64, value.device()),
                          {value.shape().begin(), value.shape().end()});
  Tensor written = write(Write::assign, full(base, -1, DType::i64, value.device()), index, number, dim);
  return equal(read(written, index, dim, each), number);
}

struct Product {
  Tensor base, value;
};
// Of base times its values. Where one factor is 0 the product of the others is still known.
Product product_gradient(TensorSpan in, const Tensor& g, int dim, bool each) {
  const Tensor &base = in[0], &index = in[1], &value = in[2];
  Tensor zero = equal(value, like(value, 0)), one = like(value, 1);
  Tensor rest = write(Write::mul, base, index, where(zero, one, value), dim);
  Tensor zeros =
      write(Write::add, full(base.shape(), 0, value.dtype(), value.device()), index, cast(zero, value.dtype()), dim);
  Tensor others = read(zeros, index, dim, each) - cast(zero, value.dtype());
  Tensor slope = read(rest, index, dim, each) / where(zero, one, value);
  Tensor alone = equal(others, like(others, 0));
  return {write(Write::mul, g, index, value, dim), read(g, index, dim, each) * where(alone, slope, like(slope, 0))};
}

}  // namespace

Types SliceUpdate::infer(std::span<const Type> in) const {
  check_box("slice_update", in[0].shape, box_);
  if (in[1].dtype != in[0].dtype || !(in[1].shape == shape_of(box_.count)))
    fail("slice_update", "the value must be ", Type{in[0].dtype, shape_of(box_.count)}, ", got ", in[1]);
  return {in[0]};
}

Grads SliceUpdate::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  Tensor nothing = full(in[1].shape(), 0, in[1].dtype(), in[1].device());
  return {apply1<SliceUpdate>({grads[0], nothing}, box_), slice_box(grads[0], box_.start, box_.count, box_.step)};
}

void SliceUpdate::eval(Execution& e) const {
  const Type& t = e.output_type(0);
  char* out = base_as_output(e);
  const Shape& box = e.input_type(1).shape;
  if (box.numel() == 0) return;
  Shape strides[] = {contiguous_strides(t.shape), contiguous_strides(box)};
  for (int d = 0; d < box.rank(); ++d) {
    out += box_.start[d] * strides[0][d] * static_cast<int64_t>(size_of(t.dtype));
    strides[0][d] *= box_.step[d];
  }
  kernels::EwSpace space = collapse(box, strides);
  e.kernels().scatter_strided(e.context(), t.dtype, out, space, strides[0].begin(), e.contiguous(1));
}

Types IndexUpdate::infer(std::span<const Type> in) const {
  const Shape &base = in[0].shape, &index = in[1].shape, &value = in[2].shape;
  if (in[1].dtype != DType::i64) fail("index_update", "the index must be int64, got ", in[1]);
  if (in[0].dtype != in[2].dtype) fail("index_update", "base and value differ: got ", in[0], " and ", in[2]);
  bool fits = base.rank() == value.rank() && base.rank() > 0;
  for (int i = 0; fits && i < base.rank(); ++i) fits = i == dim_ || base[i] == value[i];
  if (!fits)
    fail("index_update", "the value ", value, " must have the extents of ", base, " but along dimension ", dim_);
  if (!(index == value) && !(index == Shape{value[dim_]}))
    fail("index_update", "the index ", index, " must be of the value's shape ", value, " or one for each of its ",
         value[dim_], " slices");
  return {in[0]};
}

Grads IndexUpdate::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  const Tensor &base = in[0], &index = in[1], &value = in[2], &g = grads[0];
  bool each = index.shape() == value.shape();
  switch (how_) {
    case Write::assign: {
      Tensor nothing = full(value.shape(), 0, value.dtype(), value.device()), at = read(g, index, dim_, each);
      return {write(Write::assign, g, index, nothing, dim_),
              {},
              where(winners(base.shape(), index, value, dim_, each), at, like(at, 0))};
    }
    case Write::add:
      return {g, {}, read(g, index, dim_, each)};
    case Write::mul: {
      Product p = product_gradient(in, g, dim_, each);
      return {p.base, {}, p.value};
    }
    case Write::max:
    case Write::min: {  // equals share
      Tensor kept = cast(equal(base, out[0]), g.dtype());
      Tensor hit = cast(equal(value, read(out[0], index, dim_, each)), g.dtype());
      Tensor share = g / write(Write::add, kept, index, hit, dim_);
      return {share * kept, {}, read(share, index, dim_, each) * hit};
    }
  }
  return {{}, {}, {}};
}

void IndexUpdate::eval(Execution& e) const {
  const Type& t = e.output_type(0);
  const Shape& value = e.input_type(2).shape;
  bool each = e.input_type(1).shape == value;
  Around a = around(t.shape, dim_);
  void* out = base_as_output(e);
  with_index_errors([&] {
    e.kernels().index_update(e.context(), how_, t.dtype, out, e.contiguous(2),
                             static_cast<const int64_t*>(e.contiguous(1)), each, a.outer, a.middle, value[dim_],
                             a.inner);
  });
}

// ---- made again

Made SliceUpdate::make(const Given& g) {
  g.takes(2);
  const Shape& x = g.inputs()[0].shape;
  auto rank = static_cast<size_t>(x.rank());
  Box box{g.list("start", rank, 0), g.list("count", rank, 0), g.list("step")};
  for (int64_t step : box.step)
    if (std::abs(step) > std::max<int64_t>(x.numel(), 1)) fail(g.op(), "a step of ", step, " leaves ", x);
  return std::make_unique<SliceUpdate>(std::move(box));
}

Made IndexUpdate::make(const Given& g) {
  g.takes(3);
  return std::make_unique<IndexUpdate>(static_cast<Write>(g.choice("how", kHow)), g.dim("dim"));
}

// ---- functions

Tensor slice_box(const Tensor& x, const std::vector<int64_t>& start, const std::vector<int64_t>& count,
                 const std::vector<int64_t>& step) {
  check_box("slice", x.shape(), {start, count, step});
  Tensor y = x;
  for (int d = 0; d < x.rank(); ++d)
    if (count[d] != x.shape()[d] || step[d] != 1) y = apply1<Slice>({y}, d, start[d], count[d], step[d]);
  return y;
}

Tensor slice_update(const Tensor& x, const Tensor& value, const std::vector<int64_t>& start,
                    const std::vector<int64_t>& count, const std::vector<int64_t>& step) {
  Box box{start, count, step};
  check_box("slice_update", x.shape(), box);
  return apply1<SliceUpdate>({x, broadcast_to(cast(value, x.dtype()), shape_of(count))}, box);
}

Tensor flip(const Tensor& x, const std::vector<int64_t>& dims) {
  Tensor y = x;
  std::vector<bool> seen(x.rank());
  for (int64_t dim : dims) {
    int d = normalize_dim("flip", dim, x.rank());
    if (seen[d]) fail("flip", "dimension ", dim, " is given twice");
    seen[d] = true;
    int64_t n = x.shape()[d];
    if (n > 1) y = apply1<Slice>({y}, d, n - 1, n, -1);
  }
  return y;
}

Tensor roll(const Tensor& x, int64_t shift, int64_t dim) {
  int d = normalize_dim("roll", dim, x.rank());
  int64_t n = x.shape()[d], k = n ? (shift % n + n) % n : 0;
  return k == 0 ? x : concat({slice(x, d, n - k, n), slice(x, d, 0, n - k)}, d);
}

namespace {

Tensor update_slices(const char* op, Write how, const Tensor& x, int64_t dim, const Tensor& index,
                     const Tensor& value) {
  if (index.rank() > 1) fail(op, "the index must have one dimension, got ", index.shape());
  int d = normalize_dim(op, dim, x.rank());
  std::vector<int64_t> shape(x.shape().begin(), x.shape().end());
  shape[d] = index.numel();
  return write(how, x, reshape(index, {-1}), broadcast_to(cast(value, x.dtype()), shape_of(shape)), d);
}

// An index smaller than x but along dim writes into that corner of x.
Tensor update_elements(const char* op, Write how, const Tensor& x, int d, const Tensor& index, const Tensor& value) {
  if (index.rank() != x.rank()) fail(op, "the index ", index.shape(), " must have the rank of ", x.shape());
  Tensor v = cast(value, x.dtype());
  std::vector<int64_t> start(x.rank(), 0), step(x.rank(), 1), count(x.shape().begin(), x.shape().end());
  std::vector<int64_t> used(index.shape().begin(), index.shape().end());
  bool corner = false;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == d) continue;
    if (index.shape()[i] > count[i])
      fail(op, "the index ", index.shape(), " is larger than ", x.shape(), " in dimension ", i);
    corner |= index.shape()[i] < count[i];
    count[i] = index.shape()[i];
  }
  if (!(v.shape() == index.shape())) {  // torch: the value may be larger
    if (v.rank() != index.rank()) v = broadcast_to(v, index.shape());
    v = slice_box(v, start, used, step);
  }
  if (!corner) return write(how, x, index, v, d);
  return slice_update(x, write(how, slice_box(x, start, count, step), index, v, d), start, count, step);
}

struct Linear {
  Tensor x, index;                     // (product of the indexed extents, the rest...), (count,)
  std::vector<int64_t> order, result;  // x's dimensions, indexed ones first; the shape of what is read
  Shape permuted;
};

void check_range(const char* op, const Tensor& i, int64_t dim, int64_t size) {
  if (i.device().kind == DeviceKind::null) return;
  for (int64_t v : i.to_vector<int64_t>())
    if (v < -size || v >= size) fail_index(op, "index ", v, " is out of range for dimension ", dim, " of size ", size);
}

Linear linearize(const char* op, const Tensor& x, const std::vector<Tensor>& indices) {
  if (static_cast<int>(indices.size()) > x.rank()) fail(op, indices.size(), " indices were given for ", x.shape());
  Linear l;
  std::vector<int64_t> rest, rest_shape;
  Shape common;
  for (int d = 0; d < x.rank(); ++d) {
    if (d < static_cast<int>(indices.size()) && indices[d]) {
      if (indices[d].dtype() != DType::i64) fail(op, "an index must be int64, got ", indices[d].type());
      l.order.push_back(d);
      common = broadcast_shapes(op, common, indices[d].shape());
    } else {
      rest.push_back(d);
      rest_shape.push_back(x.shape()[d]);
    }
  }
  if (l.order.empty()) fail(op, "no index was given");
  int64_t total = 1;
  for (int64_t d : l.order) {
    int64_t n = x.shape()[static_cast<int>(d)];
    Tensor i = broadcast_to(indices[d], common);
    if (l.order.size() > 1) {
      check_range(op, indices[d], d, n);
      i = where(less(i, like(i, 0)), i + static_cast<double>(n), i);
    }
    l.index = l.index ? l.index * static_cast<double>(n) + i : i;
    total *= n;
  }
  l.index = reshape(l.index, {-1});
  l.result.assign(common.begin(), common.end());
  l.result.insert(l.result.end(), rest_shape.begin(), rest_shape.end());
  l.order.insert(l.order.end(), rest.begin(), rest.end());
  Tensor p = permute(x, l.order);
  l.permuted = p.shape();
  std::vector<int64_t> flat{total};
  flat.insert(flat.end(), rest_shape.begin(), rest_shape.end());
  l.x = reshape(p, flat);
  return l;
}

// What changes nothing: for a base that is not to count.
Tensor neutral(const Tensor& x, ScatterReduce how) {
  if (how == ScatterReduce::prod) return like(x, 1);
  if (how == ScatterReduce::amax) return like(x, lowest_of(x.dtype()));
  if (how == ScatterReduce::amin) {
    if (is_floating(x.dtype())) return like(x, __builtin_inf());
    Tensor low = like(x, lowest_of(x.dtype()));
    return bitwise_not(low);  // the greatest
  }
  return like(x, 0);
}

}  // namespace

Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  return update_slices("index_copy", Write::assign, x, dim, index, value);
}
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  return update_slices("index_add", Write::add, x, dim, index, value);
}

Tensor index(const Tensor& x, const std::vector<Tensor>& indices) {
  Linear l = linearize("index", x, indices);
  return reshape(apply1<TakeOp>({l.x, l.index}, 0), l.result);
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& value, bool accumulate) {
  Linear l = linearize("index_put", x, indices);
  std::vector<int64_t> flat(l.x.shape().begin(), l.x.shape().end());
  flat[0] = l.index.numel();
  Tensor v = reshape(broadcast_to(cast(value, x.dtype()), shape_of(l.result)), flat);
  Tensor y = write(accumulate ? Write::add : Write::assign, l.x, l.index, v, 0);
  std::vector<int64_t> back(l.order.size());
  for (size_t i = 0; i < back.size(); ++i) back[l.order[i]] = static_cast<int64_t>(i);
  return permute(reshape(y, {l.permuted.begin(), l.permuted.end()}), back);
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  return update_elements("scatter", Write::assign, x, normalize_dim("scatter", dim, x.rank()), index, value);
}

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value, ScatterReduce how,
                      bool include_self) {
  constexpr Write kHow[] = {Write::add, Write::mul, Write::add, Write::max, Write::min};
  const char* op = "scatter_reduce";
  int d = normalize_dim(op, dim, x.rank());
  Tensor base = x;
  if (!include_self)
    base = update_elements(op, Write::assign, x, d, index, broadcast_to(neutral(x, how), index.shape()));
  Tensor y = update_elements(op, kHow[static_cast<int>(how)], base, d, index, value);
  if (how != ScatterReduce::mean) return y;
  Tensor one = broadcast_to(like(x, 1), index.shape());
  Tensor count = full(x.shape(), 1, x.dtype(), x.device());
  if (!include_self) count = update_elements(op, Write::assign, count, d, index, one * 0.0);
  count = update_elements(op, Write::add, count, d, index, one);
  return is_floating(x.dtype()) ? y / count : floor_divide(y, count);
}

}  // namespace ds

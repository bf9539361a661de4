#include "engine/ops/index.h"

#include <stdexcept>

#include "engine/ops/around.h"

namespace ds {
namespace {

void check_index(const char* op, const Type& t) {
  if (t.dtype != DType::i64) fail(op, "the index must be int64, got ", t);
}

void check_same_but(const char* op, const Shape& x, const Shape& index, int dim) {
  bool fits = x.rank() == index.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == dim || x[i] == index[i];
  if (!fits) fail(op, "the index ", index, " must have the extents of ", x, " but along dimension ", dim);
}

// Kernels know no Error of the tensor API.
template <class F>
void checked(F&& kernel) {
  try {
    kernel();
  } catch (const std::out_of_range& e) {
    throw IndexError(e.what());
  }
}

}  // namespace

Types TakeOp::infer(std::span<const Type> in) const {
  check_index("take", in[1]);
  Type t = in[0];
  t.shape[dim_] = in[1].shape[0];
  return {t};
}

Grads TakeOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<PutAdd>({grads[0], in[1]}, in[0].shape(), dim_), {}};
}

void TakeOp::eval(Execution& e) const {
  const Type& x = e.input_type(0);
  Around a = around(x.shape, dim_);
  checked([&] {
    e.kernels().take(e.context(), x.dtype, e.output(0), e.contiguous(0), static_cast<const int64_t*>(e.contiguous(1)),
                     a.outer, x.shape[dim_], e.input_type(1).shape[0], a.inner);
  });
}

Grads PutAdd::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<TakeOp>({grads[0], in[1]}, dim_), {}};
}

void PutAdd::eval(Execution& e) const {
  Around a = around(shape_, dim_);
  checked([&] {
    e.kernels().put_add(e.context(), e.output_type(0).dtype, e.output(0), e.contiguous(0),
                        static_cast<const int64_t*>(e.contiguous(1)), a.outer, shape_[dim_], e.input_type(1).shape[0],
                        a.inner);
  });
}

Types GatherOp::infer(std::span<const Type> in) const {
  check_index("gather", in[1]);
  check_same_but("gather", in[0].shape, in[1].shape, dim_);
  return {{in[0].dtype, in[1].shape}};
}

Grads GatherOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<ScatterAdd>({grads[0], in[1]}, in[0].shape(), dim_), {}};
}

void GatherOp::eval(Execution& e) const {
  const Type& x = e.input_type(0);
  Around a = around(x.shape, dim_);
  checked([&] {
    e.kernels().gather(e.context(), x.dtype, e.output(0), e.contiguous(0), static_cast<const int64_t*>(e.contiguous(1)),
                       a.outer, x.shape[dim_], e.input_type(1).shape[dim_], a.inner);
  });
}

Types ScatterAdd::infer(std::span<const Type> in) const {
  check_index("scatter_add", in[1]);
  if (!(in[0].shape == in[1].shape)) fail("scatter_add", "source ", in[0].shape, " and index ", in[1].shape, " differ");
  check_same_but("scatter_add", shape_, in[1].shape, dim_);
  return {{in[0].dtype, shape_}};
}

Grads ScatterAdd::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<GatherOp>({grads[0], in[1]}, dim_), {}};
}

void ScatterAdd::eval(Execution& e) const {
  Around a = around(shape_, dim_);
  checked([&] {
    e.kernels().scatter_add(e.context(), e.output_type(0).dtype, e.output(0), e.contiguous(0),
                            static_cast<const int64_t*>(e.contiguous(1)), a.outer, shape_[dim_],
                            e.input_type(1).shape[dim_], a.inner);
  });
}

// ---- made again

namespace {

// An index of one number for each slice.
void check_list(const Given& g) {
  if (g.inputs()[1].shape.rank() != 1) fail(g.op(), "the index must be (count,), got ", g.inputs()[1]);
}

}  // namespace

Made TakeOp::make(const Given& g) {
  g.takes(2);
  check_list(g);
  return std::make_unique<TakeOp>(g.dim("dim"));
}

Made PutAdd::make(const Given& g) {
  g.takes(2);
  check_list(g);
  Shape shape = g.shape("shape");
  int dim = g.dim("dim");
  check_index(g.op(), g.inputs()[1]);
  check_same_but(g.op(), shape, g.inputs()[0].shape, dim);
  if (g.inputs()[0].shape[dim] != g.inputs()[1].shape[0])
    fail(g.op(), g.inputs()[1].shape[0], " indices for ", g.inputs()[0], " along dimension ", dim);
  return std::make_unique<PutAdd>(shape, dim);
}

Made GatherOp::make(const Given& g) {
  g.takes(2);
  return std::make_unique<GatherOp>(g.dim("dim"));
}

Made ScatterAdd::make(const Given& g) {
  g.takes(2);
  return std::make_unique<ScatterAdd>(g.shape("shape"), g.dim("dim"));
}

// ---- functions

Tensor take(const Tensor& x, const Tensor& index, int64_t dim) {
  int d = normalize_dim("take", dim, x.rank());
  Tensor y = apply1<TakeOp>({x, reshape(index, {-1})}, d);
  std::vector<int64_t> shape(x.shape().begin(), x.shape().begin() + d);
  shape.insert(shape.end(), index.shape().begin(), index.shape().end());
  shape.insert(shape.end(), x.shape().begin() + d + 1, x.shape().end());
  return reshape(y, shape);
}

Tensor embedding(const Tensor& index, const Tensor& weight) {
  if (weight.rank() != 2) fail("embedding", "the weight must be (entries,width), got ", weight.shape());
  return take(weight, index, 0);
}

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  return apply1<GatherOp>({x, index}, normalize_dim("gather", dim, x.rank()));
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  return x + apply1<ScatterAdd>({source, index}, x.shape(), normalize_dim("scatter_add", dim, x.rank()));
}

Tensor one_hot(const Tensor& index, int64_t classes, DType t) {
  return cast(equal(unsqueeze(index, -1), arange(0, static_cast<double>(classes), 1, DType::i64, index.device())), t);
}

Tensor dropout(const Tensor& x, double p, uint64_t seed, uint64_t offset) {
  if (p < 0 || p >= 1) fail("dropout", "p must be in [0, 1), got ", p);
  if (p == 0) return x;
  DType t = real_of(x.dtype());
  Tensor keep = less_equal(scalar(p, t, x.device()), random_uniform(x.shape(), seed, offset, t, x.device()));
  return where(keep, x * (1 / (1 - p)), like(x, 0));
}

}  // namespace ds

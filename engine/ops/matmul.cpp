#include "engine/ops/matmul.h"

#include "engine/lazy/node.h"
#include "engine/ops/view.h"

namespace ds {
namespace {

int64_t batch_of(const Shape& s) {
  int64_t n = 1;
  for (int i = 0; i < s.rank() - 2; ++i) n *= s[i];
  return n;
}

struct Operand {
  const void* data;
  int64_t ld, batch_stride;
  bool transposed;
};

// Reads the matrices where they are when one of the two inner strides is 1 and the batches are evenly spaced.
Operand operand(Execution& e, int i) {
  const Shape& s = e.input_type(i).shape;
  const Value& v = e.input(i);
  int r = s.rank();
  int64_t rows = s[r - 2], columns = s[r - 1], batch = batch_of(s);
  bool even = true;
  for (int d = 0; d + 3 < r; ++d) even &= v.strides[d] == v.strides[d + 1] * s[d + 1];
  int64_t stride = r > 2 && batch > 1 ? v.strides[r - 3] : 0;
  int64_t rs = rows == 1 ? columns : v.strides[r - 2], cs = columns == 1 ? 1 : v.strides[r - 1];
  if (even && cs == 1 && rs >= columns) return {v.data(e.input_type(i).dtype), rs, stride, false};
  if (even && v.strides[r - 2] == 1 && v.strides[r - 1] >= rows)
    return {v.data(e.input_type(i).dtype), v.strides[r - 1], stride, true};
  return {e.contiguous(i), columns, batch > 1 ? rows * columns : 0, false};
}

// What was turned for this product is not turned back, but taken as it was: a weight is read where it lies.
Tensor swap_last(const Tensor& x) {
  const Node& n = *x.node();
  bool turned = n.op && n.op->kind() == OpKind::Permute && !n.inputs.empty();
  if (turned && swaps_last(static_cast<const Permute&>(*n.op).dims())) return n.inputs[0];
  return transpose(x, -2, -1);
}

Tensor sum_batch(const Tensor& g, int rank) {
  std::vector<int64_t> dims;
  for (int i = 0; i < g.rank() - rank; ++i) dims.push_back(i);
  return dims.empty() ? g : sum(g, dims);
}

}  // namespace

Types MatmulOp::infer(std::span<const Type> in) const {
  const Shape &a = in[0].shape, &b = in[1].shape;
  if (in[0].dtype != in[1].dtype || in[0].dtype == DType::boolean)
    fail("matmul", "one dtype of numbers is needed, got ", in[0], " x ", in[1]);
  if (a[a.rank() - 1] != b[b.rank() - 2]) fail("matmul", "inner dimensions differ: got ", a, " x ", b);
  const Shape& wide = a.rank() >= b.rank() ? a : b;
  Type t{in[0].dtype, {}};
  for (int i = 0; i < wide.rank() - 2; ++i) t.shape.push_back(wide[i]);
  t.shape.push_back(a[a.rank() - 2]);
  t.shape.push_back(b[b.rank() - 1]);
  return {t};
}

Grads MatmulOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  const Tensor &a = in[0], &b = in[1], &g = grads[0];
  return {sum_batch(matmul(g, swap_last(conj(b))), a.rank()), sum_batch(matmul(swap_last(conj(a)), g), b.rank())};
}

bool MatmulOp::eval_with_epilogue(Execution& e, const void* bias, bool relu) const {
  const Shape &a = e.input_type(0).shape, &c = e.output_type(0).shape;
  kernels::Matmul m{};
  m.type = e.output_type(0).dtype;
  m.batch = batch_of(c);
  m.m = c[c.rank() - 2], m.n = c[c.rank() - 1], m.k = a[a.rank() - 1];
  Operand x = operand(e, 0), y = operand(e, 1);
  m.a = x.data, m.lda = x.ld, m.stride_a = x.batch_stride, m.trans_a = x.transposed;
  m.b = y.data, m.ldb = y.ld, m.stride_b = y.batch_stride, m.trans_b = y.transposed;
  m.c = e.output(0), m.ldc = m.n, m.stride_c = m.m * m.n;
  m.bias = bias;
  m.relu = relu;
  e.kernels().matmul(e.context(), m);
  return true;
}

Cost MatmulOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  const Shape& a = in[0].shape;
  c.flops = 2.0 * static_cast<double>(out[0].shape.numel()) * static_cast<double>(a[a.rank() - 1]);
  return c;
}

Made MatmulOp::make(const Given& g) {
  g.takes(2);
  const Shape &a = g.inputs()[0].shape, &b = g.inputs()[1].shape;
  if (a.rank() < 2 || b.rank() < 2) fail(g.op(), "matrices are needed, got ", a, " x ", b);
  for (int i = 0; a.rank() > 2 && b.rank() > 2 && i < std::max(a.rank(), b.rank()) - 2; ++i)
    if (a.rank() != b.rank() || a[i] != b[i]) fail(g.op(), "batches differ: got ", a, " x ", b);
  return std::make_unique<MatmulOp>();
}

// ---- functions

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0 || b.rank() == 0)
    fail("matmul", "scalars cannot be multiplied as matrices: got ", a.shape(), " x ", b.shape());
  if (a.dtype() != b.dtype()) {
    DType t = promote_types("matmul", a.dtype(), b.dtype());
    return matmul(cast(a, t), cast(b, t));
  }
  if (a.rank() == 1) {
    Tensor y = matmul(unsqueeze(a, 0), b);
    return squeeze(y, y.rank() == 1 ? 0 : -2);
  }
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  // A weight without batch dimensions takes all rows at once.
  if (b.rank() == 2 && a.rank() > 2) {
    std::vector<int64_t> shape(a.shape().begin(), a.shape().end());
    shape.back() = b.size(1);
    return reshape(matmul(reshape(a, {batch_of(a.shape()) * a.size(-2), a.size(-1)}), b), shape);
  }
  if (a.rank() == b.rank() || a.rank() == 2) {
    Shape sa(std::span(a.shape().begin(), a.rank() - 2)), sb(std::span(b.shape().begin(), b.rank() - 2));
    if (a.rank() == 2 || sa == sb) return apply1<MatmulOp>({a, b});
  }
  Shape sa(std::span(a.shape().begin(), a.rank() - 2)), sb(std::span(b.shape().begin(), b.rank() - 2));
  Shape batch = broadcast_shapes("matmul", sa, sb);
  auto widen = [&](const Tensor& x) {
    Shape s = batch;
    s.push_back(x.size(-2));
    s.push_back(x.size(-1));
    return broadcast_to(x, s);
  };
  return apply1<MatmulOp>({widen(a), widen(b)});
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (weight.rank() != 2 || x.rank() == 0 || x.size(-1) != weight.size(1))
    fail("linear", "input ", x.shape(), " does not fit the weight ", weight.shape(), " (out_features,in_features)");
  Tensor y = matmul(x, transpose(weight, 0, 1));
  return bias ? y + bias : y;
}

}  // namespace ds

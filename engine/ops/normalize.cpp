#include "engine/ops/normalize.h"

namespace ds {
namespace {

struct Rows {
  int64_t rows, columns;
};

Rows rows_of(const Type& t) {
  int64_t columns = t.shape[t.shape.rank() - 1];
  return {columns ? t.shape.numel() / columns : 0, columns};
}

Type check_rows(const char* op, const Type& t) {
  if (!is_floating(t.dtype) || t.shape.rank() == 0) fail(op, "a floating tensor with a dimension is needed, got ", t);
  return t;
}

// Applies a function of the last dimension to any.
template <class O>
Tensor along(const char* op, const Tensor& x, int64_t dim) {
  int d = normalize_dim(op, dim, x.rank());
  if (d == x.rank() - 1) return apply1<O>({x});
  return transpose(apply1<O>({transpose(x, d, -1)}), d, -1);
}

}  // namespace

Types SoftmaxOp::infer(std::span<const Type> in) const { return {check_rows("softmax", in[0])}; }

Grads SoftmaxOp::vjp(TensorSpan, TensorSpan out, TensorSpan grads) const {
  return {out[0] * (grads[0] - sum(grads[0] * out[0], {-1}, true))};
}

void SoftmaxOp::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(0));
  e.kernels().softmax(e.context(), e.input_type(0).dtype, e.output(0), e.contiguous(0), r.rows, r.columns);
}

Types LogSoftmaxOp::infer(std::span<const Type> in) const { return {check_rows("log_softmax", in[0])}; }

Grads LogSoftmaxOp::vjp(TensorSpan, TensorSpan out, TensorSpan grads) const {
  return {grads[0] - exp(out[0]) * sum(grads[0], {-1}, true)};
}

void LogSoftmaxOp::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(0));
  e.kernels().log_softmax(e.context(), e.input_type(0).dtype, e.output(0), e.contiguous(0), r.rows, r.columns);
}

Types CrossEntropyOp::infer(std::span<const Type> in) const {
  check_rows("cross_entropy", in[0]);
  if (in[0].shape.rank() != 2 || in[1].shape.rank() != 1 || in[1].shape[0] != in[0].shape[0] ||
      in[1].dtype != DType::i64)
    fail("cross_entropy", "logits (rows,classes) and int64 targets (rows,) are needed, got ", in[0], " and ", in[1]);
  return {{in[0].dtype, in[1].shape}};
}

Grads CrossEntropyOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<CrossEntropyGrad>({grads[0], in[0], in[1]}), {}};
}

void CrossEntropyOp::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(0));
  e.kernels().cross_entropy(e.context(), e.input_type(0).dtype, e.output(0), e.contiguous(0),
                            static_cast<const int64_t*>(e.contiguous(1)), r.rows, r.columns);
}

void CrossEntropyGrad::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(1));
  e.kernels().cross_entropy_grad(e.context(), e.input_type(1).dtype, e.output(0), e.contiguous(0), e.contiguous(1),
                                 static_cast<const int64_t*>(e.contiguous(2)), r.rows, r.columns);
}

Types LayerNormOp::infer(std::span<const Type> in) const {
  Type x = check_rows("layer_norm", in[0]);
  Type row{x.dtype, {x.shape[x.shape.rank() - 1]}};
  if (!(in[1] == row) || !(in[2] == row))
    fail("layer_norm", "weight and bias must be ", row, " for ", x, ", got ", in[1], " and ", in[2]);
  DType statistic = x.dtype == DType::f64 ? DType::f64 : DType::f32;
  Type rows{statistic, {rows_of(x).rows}};
  return {x, rows, rows};
}

Grads LayerNormOp::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  return append(std::make_unique<LayerNormGrad>(), {grads[0], in[0], in[1], out[1], out[2]});
}

void LayerNormOp::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(0));
  e.kernels().layer_norm(e.context(), e.input_type(0).dtype, e.output(0), e.output(1), e.output(2), e.contiguous(0),
                         e.contiguous(1), e.contiguous(2), eps_, r.rows, r.columns);
}

void LayerNormGrad::eval(Execution& e) const {
  Rows r = rows_of(e.input_type(1));
  e.kernels().layer_norm_grad(e.context(), e.input_type(1).dtype, e.output(0), e.output(1), e.output(2),
                              e.contiguous(0), e.contiguous(1), e.contiguous(2), e.contiguous(3), e.contiguous(4),
                              r.rows, r.columns);
}

// ---- made again

namespace {

// Gradients are of what the op itself would give of its inputs.
void check_result(const Given& g, const Type& is, const Type& should) {
  if (!(is == should)) fail(g.op(), "an input is ", is, ", not ", should);
}

}  // namespace

Made SoftmaxOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<SoftmaxOp>();
}

Made LogSoftmaxOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<LogSoftmaxOp>();
}

Made CrossEntropyOp::make(const Given& g) {
  g.takes(2);
  return std::make_unique<CrossEntropyOp>();
}

Made CrossEntropyGrad::make(const Given& g) {
  g.takes(3);
  check_result(g, g.inputs()[0], CrossEntropyOp().infer(g.inputs().subspan(1))[0]);
  return std::make_unique<CrossEntropyGrad>();
}

Made LayerNormOp::make(const Given& g) {
  g.takes(3);
  return std::make_unique<LayerNormOp>(g.number("eps"));
}

Made LayerNormGrad::make(const Given& g) {
  g.takes(5);
  Type in[] = {g.inputs()[1], g.inputs()[2], g.inputs()[2]};
  Types out = LayerNormOp(0).infer(in);
  check_result(g, g.inputs()[0], out[0]);
  check_result(g, g.inputs()[3], out[1]);
  check_result(g, g.inputs()[4], out[2]);
  return std::make_unique<LayerNormGrad>();
}

// ---- functions

Tensor softmax(const Tensor& x, int64_t dim) { return along<SoftmaxOp>("softmax", x, dim); }
Tensor log_softmax(const Tensor& x, int64_t dim) { return along<LogSoftmaxOp>("log_softmax", x, dim); }

Tensor cross_entropy(const Tensor& logits, const Tensor& target, Reduction reduction) {
  Tensor loss = apply1<CrossEntropyOp>({logits, target});
  if (reduction == Reduction::none) return loss;
  return reduction == Reduction::sum ? sum(loss) : mean(loss);
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return apply1<LayerNormOp>({x, weight, bias}, eps);
}

}  // namespace ds

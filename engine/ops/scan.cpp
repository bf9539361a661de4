#include "engine/ops/scan.h"

#include <cmath>

#include "engine/ops/around.h"
#include "engine/ops/index.h"

namespace ds {
namespace {

using kernels::Scan;

bool ranks(Scan how) { return how == Scan::max || how == Scan::min; }

Tensor scan1(Scan how, const Tensor& x, int dim) { return apply1<ScanOp>({x}, how, dim); }
Tensor backwards(Scan how, const Tensor& x, int dim) { return flip(scan1(how, flip(x, {dim}), dim), {dim}); }

// d cumprod: sum over k >= i of g[k] y[k] / x[i]. From the first 0 on every y is 0: that element's own slope comes from
// the products with it left out, and those behind it have none.
Tensor product_gradient(const Tensor& x, const Tensor& y, const Tensor& g, int dim) {
  Tensor zero = equal(x, like(x, 0)), zeros = scan1(Scan::sum, cast(zero, DType::i64), dim);
  Tensor before = equal(zeros, like(zeros, 0)), first = logical_and(zero, equal(zeros, like(zeros, 1)));
  Tensor none = like(x, 0);
  Tensor without = scan1(Scan::prod, where(first, like(x, 1), x), dim);
  Tensor plain = backwards(Scan::sum, g * y, dim) / where(zero, like(x, 1), x);
  Tensor own = backwards(Scan::sum, where(before, none, g * without), dim);
  return where(before, plain, where(first, own, none));
}

// d logcumsumexp: exp(x[i]) times the sum over k >= i of g[k] exp(-y[k]), in logarithms, by the sign of g.
Tensor logsumexp_gradient(const Tensor& x, const Tensor& y, const Tensor& g, int dim) {
  auto part = [&](const Tensor& g_part) {
    Tensor there = less(like(g, 0), g_part);
    Tensor logs = where(there, log(where(there, g_part, like(g, 1))), like(g, -INFINITY));
    return exp(backwards(Scan::logsumexp, logs - y, dim) + x);
  };
  return part(g) - part(neg(g));
}

}  // namespace

Types ScanOp::infer(std::span<const Type> in) const {
  constexpr const char* kNames[] = {"cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"};
  const char* name = kNames[static_cast<int>(how_)];
  if (in[0].dtype == DType::boolean) fail(name, "bool has no running result, got ", in[0]);
  if (how_ == Scan::logsumexp) check_domain(name, in[0], Domain::floating);
  if (ranks(how_)) return {in[0], {DType::i64, in[0].shape}};
  return {in[0]};
}

Grads ScanOp::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  const Tensor& g = grads[0];
  if (!g) return {Tensor()};
  switch (how_) {
    case Scan::sum:
      return {backwards(Scan::sum, g, dim_)};
    case Scan::prod:
      return {product_gradient(in[0], out[0], g, dim_)};
    case Scan::logsumexp:
      return {logsumexp_gradient(in[0], out[0], g, dim_)};
    case Scan::max:
    case Scan::min:
      return {apply1<ScatterAdd>({g, out[1]}, in[0].shape(), dim_)};
  }
  return {Tensor()};
}

void ScanOp::eval(Execution& e) const {
  const Type& t = e.input_type(0);
  Around a = around(t.shape, dim_);
  void* out = e.output(0);
  auto* at = ranks(how_) ? static_cast<int64_t*>(e.output(1)) : nullptr;
  e.kernels().scan(e.context(), how_, t.dtype, out, at, e.contiguous(0), a.outer, a.middle, a.inner);
}

Cost ScanOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops = static_cast<double>(in[0].shape.numel()) * (how_ == Scan::logsumexp ? 36 : 1);
  return c;
}

Grads SortOp::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  if (!grads[0]) return {Tensor()};
  return {apply1<ScatterAdd>({grads[0], out[1]}, in[0].shape(), dim_)};
}

void SortOp::eval(Execution& e) const {
  const Type& t = e.input_type(0);
  Around a = around(t.shape, dim_);
  void* out = e.output(0);
  e.kernels().sort(e.context(), t.dtype, descending_, out, static_cast<int64_t*>(e.output(1)), e.contiguous(0), a.outer,
                   a.middle, a.inner);
}

Cost SortOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops =
      static_cast<double>(in[0].shape.numel()) * std::log2(std::max<double>(2, static_cast<double>(in[0].shape[dim_])));
  return c;
}

// ---- made again

Made ScanOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<ScanOp>(static_cast<Scan>(g.choice("how", kHow)), g.dim("dim"));
}

Made SortOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<SortOp>(g.dim("dim"), g.integer("descending", 0, 1) != 0);
}

}  // namespace ds

#include "engine/ops/reduce.h"

namespace ds {
namespace {

using kernels::Reduce;

struct Split {
  int64_t outer = 1, middle = 1, inner = 1;
};

Split split(const Shape& s, int first, int last) {
  Split r;
  for (int i = 0; i < s.rank(); ++i) (i < first ? r.outer : i < last ? r.middle : r.inner) *= s[i];
  return r;
}

Shape without(const Shape& s, int first, int last) {
  Shape out;
  for (int i = 0; i < s.rank(); ++i)
    if (i < first || i >= last) out.push_back(s[i]);
  return out;
}

// With the reduced dimensions back as extents of 1, so that it broadcasts against the input.
Tensor keep(const Tensor& y, const Shape& in, int first, int last) {
  std::vector<int64_t> dims(in.begin(), in.end());
  for (int i = first; i < last; ++i) dims[i] = 1;
  return reshape(y, dims);
}

// g (outer,1,inner) times, at each place along the middle of x, the product of the other elements there. A tree of
// products, up and down again: nothing is divided, so zeros are like any other number, here and in further derivatives.
Tensor times_others(const Tensor& x, const Tensor& g) {
  int64_t n = x.size(1), half = (n + 1) / 2;
  if (n <= 1) return broadcast_to(g, x.shape());
  Tensor a = slice(x, 1, 0, half), b = slice(x, 1, half, n);
  if (n % 2) b = concat({b, broadcast_to(like(x, 1), {x.size(0), 1, x.size(2)})}, 1);
  Tensor both = times_others(a * b, g);
  return slice(concat({both * b, both * a}, 1), 1, 0, n);
}

constexpr const char* kNames[] = {"sum", "amax", "amin", "prod", "any", "all"};

Tensor reduce(Reduce how, const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  const char* name = kNames[static_cast<int>(how)];
  std::vector<bool> reduced(x.rank(), dims.empty());
  for (int64_t d : dims) {
    int n = normalize_dim(name, d, x.rank());
    if (reduced[n]) fail(name, "dimension ", d, " is given twice");
    reduced[n] = true;
  }
  std::vector<int64_t> order, kept;
  for (int i = 0; i < x.rank(); ++i)
    if (!reduced[i]) order.push_back(i);
  int first = static_cast<int>(order.size());
  bool adjacent = true;  // reduced dimensions side by side need no permutation
  int begin = 0, end = x.rank();
  while (begin < x.rank() && !reduced[begin]) ++begin;
  while (end > begin && !reduced[end - 1]) --end;
  for (int i = begin; i < end; ++i) adjacent &= reduced[i];
  for (int i = 0; i < x.rank(); ++i) {
    if (reduced[i]) order.push_back(i);
    if (!reduced[i] || keepdim) kept.push_back(reduced[i] ? 1 : x.shape()[i]);
  }
  Tensor y =
      adjacent ? apply1<ReduceOp>({x}, how, begin, end) : apply1<ReduceOp>({permute(x, order)}, how, first, x.rank());
  return reshape(y, kept);
}

// Sums and products of small integers leave their range: as PyTorch, in int64, and the larger unsigned ones in uint64.
Tensor widened(const Tensor& x) {
  DType t = x.dtype();
  if (is_inexact(t)) return x;
  return cast(x, t == DType::u16 || t == DType::u32 || t == DType::u64 ? DType::u64 : DType::i64);
}
Tensor truth(const Tensor& x) { return cast(x, DType::boolean); }

}  // namespace

Types ReduceOp::infer(std::span<const Type> in) const {
  const char* name = kNames[static_cast<int>(how_)];
  bool logical = how_ == Reduce::any || how_ == Reduce::all;
  if (logical != (in[0].dtype == DType::boolean))
    fail(name, logical ? "bool is needed, got " : "bool cannot be reduced, got ", in[0]);
  bool extreme = how_ == Reduce::max || how_ == Reduce::min;
  if (extreme) check_domain(name, in[0], Domain::ordered);
  if (extreme && split(in[0].shape, first_, last_).middle == 0)
    fail(name, "the reduced dimensions of ", in[0].shape, " are empty");
  return {{in[0].dtype, without(in[0].shape, first_, last_)}};
}

Grads ReduceOp::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  const Shape& shape = in[0].shape();
  Tensor g = broadcast_to(keep(grads[0], shape, first_, last_), shape);
  Tensor y = keep(out[0], shape, first_, last_);
  switch (how_) {
    case Reduce::sum:
      return {g};
    case Reduce::prod: {
      Split s = split(shape, first_, last_);
      Tensor others =
          times_others(reshape(conj(in[0]), {s.outer, s.middle, s.inner}), reshape(grads[0], {s.outer, 1, s.inner}));
      return {reshape(others, {shape.begin(), shape.end()})};
    }
    case Reduce::max:
    case Reduce::min: {  // ties share
      Tensor hit = cast(equal(in[0], y), g.dtype());
      std::vector<int64_t> dims;
      for (int i = first_; i < last_; ++i) dims.push_back(i);
      return {g * hit / sum(hit, dims, true)};
    }
    case Reduce::any:
    case Reduce::all:
      break;
  }
  return {Tensor()};
}

void ReduceOp::eval(Execution& e) const {
  Split s = split(e.input_type(0).shape, first_, last_);
  e.kernels().reduce(e.context(), how_, e.input_type(0).dtype, e.output(0), e.contiguous(0), s.outer, s.middle,
                     s.inner);
}

Cost ReduceOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops = static_cast<double>(in[0].shape.numel());
  return c;
}

Types ArgReduceOp::infer(std::span<const Type> in) const {
  check_domain("arg_reduce", in[0], Domain::ordered);
  if (in[0].shape[dim_] == 0) fail("arg_reduce", "dimension ", dim_, " of ", in[0].shape, " is empty");
  return {{DType::i64, without(in[0].shape, dim_, dim_ + 1)}};
}

void ArgReduceOp::eval(Execution& e) const {
  Split s = split(e.input_type(0).shape, dim_, dim_ + 1);
  e.kernels().arg_reduce(e.context(), how_, e.input_type(0).dtype, static_cast<int64_t*>(e.output(0)), e.contiguous(0),
                         s.outer, s.middle, s.inner);
}

// ---- made again

Made ReduceOp::make(const Given& g) {
  g.takes(1);
  int rank = g.inputs()[0].shape.rank();
  auto first = static_cast<int>(g.integer("first", 0, rank));
  return std::make_unique<ReduceOp>(static_cast<Reduce>(g.choice("how", kHow)), first,
                                    static_cast<int>(g.integer("last", first, rank)));
}

Made ArgReduceOp::make(const Given& g) {
  static constexpr const char* kNames[] = {"argmax", "argmin"};
  g.takes(1);
  return std::make_unique<ArgReduceOp>(static_cast<kernels::ArgReduce>(g.choice("how", kNames)), g.dim("dim"));
}

// ---- functions

Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(Reduce::sum, widened(x), dims, keepdim);
}
Tensor amax(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(x.dtype() == DType::boolean ? Reduce::any : Reduce::max, x, dims, keepdim);
}
Tensor amin(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(x.dtype() == DType::boolean ? Reduce::all : Reduce::min, x, dims, keepdim);
}
Tensor prod(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(Reduce::prod, widened(x), dims, keepdim);
}
Tensor any(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(Reduce::any, truth(x), dims, keepdim);
}
Tensor all(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return reduce(Reduce::all, truth(x), dims, keepdim);
}

Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  if (!is_inexact(x.dtype())) fail("mean", "a floating or complex dtype is needed, got ", x.type());
  Tensor s = sum(x, dims, keepdim);
  double count = s.numel() ? static_cast<double>(x.numel()) / static_cast<double>(s.numel()) : 1;
  return s * (1.0 / count);
}

Tensor var(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim, double correction) {
  Tensor centred = x - mean(x, dims, true);
  Tensor s = sum(real(centred * conj(centred)), dims, keepdim);
  double count = s.numel() ? static_cast<double>(x.numel()) / static_cast<double>(s.numel()) : 1;
  return s * (1.0 / (count - correction));
}

namespace {
Tensor arg_reduce(const char* name, kernels::ArgReduce how, const Tensor& x, int64_t dim, bool keepdim) {
  int d = normalize_dim(name, dim, x.rank());
  Tensor y = apply1<ArgReduceOp>({x}, how, d);
  return keepdim ? unsqueeze(y, d) : y;
}
}  // namespace

Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  return arg_reduce("argmax", kernels::ArgReduce::argmax, x, dim, keepdim);
}
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  return arg_reduce("argmin", kernels::ArgReduce::argmin, x, dim, keepdim);
}

}  // namespace ds

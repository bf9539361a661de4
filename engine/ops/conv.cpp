#include "engine/ops/conv.h"

namespace ds {
namespace {

int64_t extent(const char* op, int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  int64_t span = dilation * (kernel - 1) + 1;
  if (stride < 1 || dilation < 1 || pad < 0)
    fail(op, "stride ", stride, ", padding ", pad, ", dilation ", dilation, " are not allowed");
  if (in + 2 * pad < span) fail(op, "a window of ", span, " does not fit into ", in, " with padding ", pad);
  return (in + 2 * pad - span) / stride + 1;
}

kernels::Conv2d describe(DType t, const Shape& x, const Shape& w, const Conv2dOptions& o) {
  kernels::Conv2d c{};
  c.type = t;
  c.n = x[0], c.c = x[1], c.h = x[2], c.w = x[3];
  c.o = w[0], c.kh = w[2], c.kw = w[3];
  c.stride_h = o.stride_h, c.stride_w = o.stride_w, c.pad_h = o.pad_h, c.pad_w = o.pad_w;
  c.dilation_h = o.dilation_h, c.dilation_w = o.dilation_w, c.groups = o.groups;
  c.oh = extent("conv2d", c.h, c.kh, c.stride_h, c.pad_h, c.dilation_h);
  c.ow = extent("conv2d", c.w, c.kw, c.stride_w, c.pad_w, c.dilation_w);
  return c;
}

double conv_flops(const kernels::Conv2d& c) {
  return 2.0 * static_cast<double>(c.n * c.o * c.oh * c.ow) * static_cast<double>(c.c / c.groups * c.kh * c.kw);
}

kernels::Pool2d describe(const char* op, DType t, const Shape& x, const Pool2dOptions& o) {
  if (x.rank() != 4) fail(op, "(batch,channels,height,width) is needed, got ", x);
  if (2 * o.pad_h > o.kernel_h || 2 * o.pad_w > o.kernel_w)
    fail(op, "padding ", Shape{o.pad_h, o.pad_w}, " is more than half of the kernel ", Shape{o.kernel_h, o.kernel_w});
  kernels::Pool2d p{};
  p.type = t;
  p.n = x[0], p.c = x[1], p.h = x[2], p.w = x[3];
  p.kh = o.kernel_h, p.kw = o.kernel_w, p.stride_h = o.stride_h, p.stride_w = o.stride_w, p.pad_h = o.pad_h,
  p.pad_w = o.pad_w;
  p.oh = extent(op, p.h, p.kh, p.stride_h, p.pad_h, 1);
  p.ow = extent(op, p.w, p.kw, p.stride_w, p.pad_w, 1);
  return p;
}

}  // namespace

Types Conv2dOp::infer(std::span<const Type> in) const {
  const Shape &x = in[0].shape, &w = in[1].shape;
  if (in[0].dtype != in[1].dtype || (in[0].dtype != DType::f32 && in[0].dtype != DType::f64))
    fail("conv2d", "one dtype of float32, float64 is needed, got ", in[0], " and ", in[1]);
  if (x.rank() != 4 || w.rank() != 4)
    fail("conv2d", "(batch,channels,height,width) and (out,in,kh,kw) are needed, got ", x, " and ", w);
  if (o_.groups < 1 || x[1] != w[1] * o_.groups || w[0] % o_.groups)
    fail("conv2d", "channels do not fit: input ", x, ", weight ", w, ", groups ", o_.groups);
  kernels::Conv2d c = describe(in[0].dtype, x, w, o_);
  return {{in[0].dtype, {c.n, c.o, c.oh, c.ow}}};
}

Grads Conv2dOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<Conv2dGradInput>({grads[0], in[1]}, o_, in[0].shape()),
          apply1<Conv2dGradWeight>({grads[0], in[0]}, o_, in[1].shape())};
}

bool Conv2dOp::eval_with_epilogue(Execution& e, const void* bias, bool relu) const {
  auto c = describe(e.input_type(0).dtype, e.input_type(0).shape, e.input_type(1).shape, o_);
  e.kernels().conv2d(e.context(), c, e.output(0), e.contiguous(0), e.contiguous(1), bias, relu);
  return true;
}

Cost Conv2dOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops = conv_flops(describe(in[0].dtype, in[0].shape, in[1].shape, o_));
  return c;
}

Grads Conv2dGradInput::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {conv2d(grads[0], in[1], {}, o_), apply1<Conv2dGradWeight>({in[0], grads[0]}, o_, in[1].shape())};
}

void Conv2dGradInput::eval(Execution& e) const {
  auto c = describe(e.input_type(0).dtype, x_, e.input_type(1).shape, o_);
  e.kernels().conv2d_grad_input(e.context(), c, e.output(0), e.contiguous(0), e.contiguous(1));
}

Cost Conv2dGradInput::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops = conv_flops(describe(in[0].dtype, x_, in[1].shape, o_));
  return c;
}

Grads Conv2dGradWeight::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {conv2d(in[1], grads[0], {}, o_), apply1<Conv2dGradInput>({in[0], grads[0]}, o_, in[1].shape())};
}

void Conv2dGradWeight::eval(Execution& e) const {
  auto c = describe(e.input_type(0).dtype, e.input_type(1).shape, w_, o_);
  e.kernels().conv2d_grad_weight(e.context(), c, e.output(0), e.contiguous(0), e.contiguous(1));
}

Cost Conv2dGradWeight::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  c.flops = conv_flops(describe(in[0].dtype, in[1].shape, w_, o_));
  return c;
}

Types MaxPool2dOp::infer(std::span<const Type> in) const {
  auto p = describe("max_pool2d", in[0].dtype, in[0].shape, o_);
  return {{in[0].dtype, {p.n, p.c, p.oh, p.ow}}};
}

Grads MaxPool2dOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<MaxPool2dGrad>({grads[0], in[0]}, o_)};
}

void MaxPool2dOp::eval(Execution& e) const {
  e.kernels().max_pool2d(e.context(), describe("max_pool2d", e.input_type(0).dtype, e.input_type(0).shape, o_),
                         e.output(0), e.contiguous(0));
}

void MaxPool2dGrad::eval(Execution& e) const {
  auto p = describe("max_pool2d", e.input_type(1).dtype, e.input_type(1).shape, o_);
  p.positive = positive_;
  e.kernels().max_pool2d_grad(e.context(), p, e.output(0), e.contiguous(0), e.contiguous(1));
}

Types AvgPool2dOp::infer(std::span<const Type> in) const {
  auto p = describe("avg_pool2d", in[0].dtype, in[0].shape, o_);
  return {{in[0].dtype, {p.n, p.c, p.oh, p.ow}}};
}

Grads AvgPool2dOp::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {apply1<AvgPool2dGrad>({grads[0]}, o_, in[0].shape())};
}

void AvgPool2dOp::eval(Execution& e) const {
  e.kernels().avg_pool2d(e.context(), describe("avg_pool2d", e.input_type(0).dtype, e.input_type(0).shape, o_),
                         e.output(0), e.contiguous(0));
}

void AvgPool2dGrad::eval(Execution& e) const {
  e.kernels().avg_pool2d_grad(e.context(), describe("avg_pool2d", e.input_type(0).dtype, x_, o_), e.output(0),
                              e.contiguous(0));
}

// ---- made again

namespace {

using List = std::vector<int64_t>;

Attributes attributes_of(const Conv2dOptions& o) {
  return {{"stride", List{o.stride_h, o.stride_w}},
          {"padding", List{o.pad_h, o.pad_w}},
          {"dilation", List{o.dilation_h, o.dilation_w}},
          {"groups", o.groups}};
}

Attributes attributes_of(const Pool2dOptions& o) {
  return {{"kernel", List{o.kernel_h, o.kernel_w}},
          {"stride", List{o.stride_h, o.stride_w}},
          {"padding", List{o.pad_h, o.pad_w}}};
}

Attributes with(Attributes all, const char* name, Attribute value) {
  all.emplace_back(name, std::move(value));
  return all;
}

constexpr int64_t kMostSteps = 1 << 24;  // of a window

void check_small(const Given& g, const List& values) {
  for (int64_t v : values)
    if (v > kMostSteps) fail(g.op(), "a window's ", v, " is too large");
}

Conv2dOptions conv_options(const Given& g) {
  List stride = g.list("stride", 2, 1), pad = g.list("padding", 2, 0), dilation = g.list("dilation", 2, 1);
  for (const List& l : {stride, pad, dilation}) check_small(g, l);
  return {stride[0], stride[1], pad[0], pad[1], dilation[0], dilation[1], g.integer("groups", 1, kMostSteps)};
}

Pool2dOptions pool_options(const Given& g) {
  List kernel = g.list("kernel", 2, 1), stride = g.list("stride", 2, 1), pad = g.list("padding", 2, 0);
  for (const List& l : {kernel, stride, pad}) check_small(g, l);
  if (g.inputs().empty() || !is_floating(g.inputs()[0].dtype)) fail(g.op(), "takes a floating input");
  return {kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1]};
}

// A gradient's input is of the type that the op itself would give.
template <class O>
void check_result(const Given& g, const O& op, std::initializer_list<Type> in, const Type& result) {
  Type should = op.infer(std::vector<Type>(in))[0];
  if (!(should == result)) fail(g.op(), "an input is ", result, ", not ", should);
}

}  // namespace

Attributes Conv2dOp::attributes() const { return attributes_of(o_); }
Made Conv2dOp::make(const Given& g) {
  g.takes(2);
  return std::make_unique<Conv2dOp>(conv_options(g));
}

Attributes Conv2dGradInput::attributes() const { return with(attributes_of(o_), "shape", to_list(x_)); }
Made Conv2dGradInput::make(const Given& g) {
  g.takes(2);
  Conv2dOptions o = conv_options(g);
  Type dy = g.inputs()[0], w = g.inputs()[1], x{dy.dtype, g.shape("shape")};
  check_result(g, Conv2dOp(o), {x, w}, dy);
  return std::make_unique<Conv2dGradInput>(o, x.shape);
}

Attributes Conv2dGradWeight::attributes() const { return with(attributes_of(o_), "shape", to_list(w_)); }
Made Conv2dGradWeight::make(const Given& g) {
  g.takes(2);
  Conv2dOptions o = conv_options(g);
  Type dy = g.inputs()[0], x = g.inputs()[1], w{dy.dtype, g.shape("shape")};
  check_result(g, Conv2dOp(o), {x, w}, dy);
  return std::make_unique<Conv2dGradWeight>(o, w.shape);
}

Attributes MaxPool2dOp::attributes() const { return attributes_of(o_); }
Made MaxPool2dOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<MaxPool2dOp>(pool_options(g));
}

Attributes AvgPool2dOp::attributes() const { return attributes_of(o_); }
Made AvgPool2dOp::make(const Given& g) {
  g.takes(1);
  return std::make_unique<AvgPool2dOp>(pool_options(g));
}

Attributes MaxPool2dGrad::attributes() const { return with(attributes_of(o_), "positive", int64_t{positive_}); }
Made MaxPool2dGrad::make(const Given& g) {
  g.takes(2);
  Pool2dOptions o = pool_options(g);
  check_result(g, MaxPool2dOp(o), {g.inputs()[1]}, g.inputs()[0]);
  return std::make_unique<MaxPool2dGrad>(o, g.integer("positive", 0, 1) != 0);
}

Attributes AvgPool2dGrad::attributes() const { return with(attributes_of(o_), "shape", to_list(x_)); }
Made AvgPool2dGrad::make(const Given& g) {
  g.takes(1);
  Pool2dOptions o = pool_options(g);
  Type dy = g.inputs()[0], x{dy.dtype, g.shape("shape")};
  check_result(g, AvgPool2dOp(o), {x}, dy);
  return std::make_unique<AvgPool2dGrad>(o, x.shape);
}

// ---- functions

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  Tensor y = apply1<Conv2dOp>({x, weight}, o);
  if (!bias) return y;
  if (bias.rank() != 1 || bias.size(0) != weight.size(0))
    fail("conv2d", "bias ", bias.shape(), " does not fit the weight ", weight.shape());
  return y + reshape(bias, {1, -1, 1, 1});
}

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& o) { return apply1<MaxPool2dOp>({x}, o); }
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& o) { return apply1<AvgPool2dOp>({x}, o); }

}  // namespace ds

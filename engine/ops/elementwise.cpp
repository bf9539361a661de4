#include "engine/ops/elementwise.h"

#include <cmath>

namespace ds {
namespace {

constexpr double kFlops[] = {
#define DS_EW(name, operands, flops) flops,
#include "kernels/elementwise.def"
    1,  // cast
};

// bool < uint8 < int32 < int64 < bfloat16 < float32 < float64
int promotion_rank(DType t) {
  switch (t) {
    case DType::boolean:
      return 0;
    case DType::u8:
      return 1;
    case DType::i32:
      return 2;
    case DType::i64:
      return 3;
    case DType::bf16:
      return 4;
    case DType::f32:
      return 5;
    case DType::f64:
      return 6;
  }
  return 0;
}

struct Pair {
  Tensor a, b;
};

// One dtype, one shape.
Pair match(const char* op, const Tensor& a, const Tensor& b) {
  DType t = promotion_rank(a.dtype()) < promotion_rank(b.dtype()) ? b.dtype() : a.dtype();
  Shape shape = broadcast_shapes(op, a.shape(), b.shape());
  return {broadcast_to(cast(a, t), shape), broadcast_to(cast(b, t), shape)};
}

template <class O>
Tensor binary(const Tensor& a, const Tensor& b) {
  Pair p = match(info_of(O().kind()).name, a, b);
  return apply1<O>({p.a, p.b});
}

}  // namespace

void check_domain(const char* op, const Type& t, Domain domain) {
  if (domain == Domain::floating && !is_floating(t.dtype)) fail(op, "a floating dtype is needed, got ", t);
  if (domain == Domain::boolean && t.dtype != DType::boolean) fail(op, "bool is needed, got ", t);
}

void check_pair(const char* op, const Type& a, const Type& b, Domain domain) {
  if (!(a == b)) fail(op, "operands differ: got ", a, " and ", b);
  check_domain(op, a, domain);
}

void Elementwise::eval(Execution&) const { fail(info().name, "elementwise ops run as programs"); }

Cost Elementwise::cost(std::span<const Type> inputs, std::span<const Type> outputs) const {
  Cost c = Op::cost(inputs, outputs);
  c.flops = kFlops[static_cast<int>(code())] * static_cast<double>(outputs[0].shape.numel());
  return c;
}

std::vector<Type> Where::infer(std::span<const Type> in) const {
  if (in[0].dtype != DType::boolean) fail("where", "the condition must be bool, got ", in[0]);
  if (!(in[1] == in[2])) fail("where", "branches differ: got ", in[1], " and ", in[2]);
  return {in[1]};
}

Grads Where::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  Tensor zero = like(grads[0], 0);
  return {{}, where(in[0], grads[0], zero), where(in[0], zero, grads[0])};
}

Grads Cast::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  return {is_floating(in[0].dtype()) ? cast(grads[0], in[0].dtype()) : Tensor()};
}

#define DS_DEFINE_unary(Class, name) \
  Tensor name(const Tensor& x) { return apply1<Class>({x}); }
#define DS_DEFINE_binary(Class, name) \
  Tensor name(const Tensor& a, const Tensor& b) { return binary<Class>(a, b); }
#define DS_DEFINE_elementwise(Class, name)
#define DS_DEFINE_view(Class, name)
#define DS_DEFINE_constant(Class, name)
#define DS_DEFINE_compute(Class, name)
#define DS_DEFINE_random(Class, name)
#define DS_DEFINE_communication(Class, name)
#define OP(Class, name, category) DS_DEFINE_##category(Class, name)
#include "engine/ops/ops.def"

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Pair p = match("where", a, b);
  Shape shape = broadcast_shapes("where", condition.shape(), p.a.shape());
  return apply1<Where>({broadcast_to(condition, shape), broadcast_to(p.a, shape), broadcast_to(p.b, shape)});
}

Tensor cast(const Tensor& x, DType t) { return x.dtype() == t ? x : apply1<Cast>({x}, t); }
Tensor like(const Tensor& x, double value) { return scalar(value, x.dtype(), x.device()); }
Tensor beside(const Tensor& x, double value) {
  DType t = x.dtype();
  if (!is_floating(t) && value != std::trunc(value)) t = DType::f32;
  return scalar(value, t == DType::boolean ? DType::i64 : t, x.device());
}
Tensor square(const Tensor& x) { return x * x; }
Tensor silu(const Tensor& x) { return x * sigmoid(x); }
Tensor gelu(const Tensor& x) { return x * 0.5 * (1.0 + erf(x * 0.70710678118654752)); }

}  // namespace ds

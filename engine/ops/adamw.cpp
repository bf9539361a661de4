#include "engine/ops/adamw.h"

namespace ds {

Types AdamWOp::infer(std::span<const Type> in) const {
  for (const Type& t : in)
    if (!(t == in[0]) || !is_floating(t.dtype))
      fail("adamw", "four floating tensors of one type are needed, got ", in[0], ", ", in[1], ", ", in[2], ", ", in[3]);
  return {in[0], in[0], in[0]};
}

void AdamWOp::eval(Execution& e) const {
  void* const out[] = {e.output_over(0, 0), e.output_over(1, 1), e.output_over(2, 2)};
  const void* const in[] = {e.contiguous(0), e.contiguous(1), e.contiguous(2), e.contiguous(3)};
  const Type& t = e.output_type(0);
  e.kernels().adamw(e.context(), t.dtype, factors_, t.shape.numel(), out, in);
}

Attributes AdamWOp::attributes() const {
  const kernels::AdamW& f = factors_;
  return {{"beta1", f.beta1}, {"beta2", f.beta2}, {"eps", f.eps},
          {"rate", f.rate},   {"scale", f.scale}, {"decay", f.decay}};
}

Made AdamWOp::make(const Given& g) {
  g.takes(4);
  kernels::AdamW f{};
  f.beta1 = g.number("beta1"), f.beta2 = g.number("beta2"), f.eps = g.number("eps");
  f.rate = g.number("rate"), f.scale = g.number("scale"), f.decay = g.number("decay");
  return std::make_unique<AdamWOp>(f);
}

}  // namespace ds

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

}  // namespace ds

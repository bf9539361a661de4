// Matrix products. Transposed operands are read in place: the strides choose the kernel's flags.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

// (b...,m,k) x (b...,k,n); the batch dimensions are equal. Either operand may be without batch dimensions.
class MatmulOp final : public Primitive<OpKind::MatmulOp> {
 public:
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution& e) const override { eval_with_epilogue(e, nullptr, false); }
  bool eval_with_epilogue(Execution&, const void* bias, bool relu) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  static Made make(const Given& g);
};

}  // namespace ds

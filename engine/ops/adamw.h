// One AdamW step of one tensor: (parameter, m, v, gradient) -> the new parameter, m, v, in place where nobody else
// looks.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

class AdamWOp final : public Primitive<OpKind::AdamWOp> {
 public:
  explicit AdamWOp(const kernels::AdamW& factors) : factors_(factors) {}
  Types infer(std::span<const Type> in) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  kernels::AdamW factors_;
};

}  // namespace ds

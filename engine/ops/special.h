// The rarer elementwise functions: one primitive for each number of operands, the instruction is its attribute. A
// function is a row of kernels/elementwise.def, its arithmetic in kernels/scalar_special.h, and a line of special.cpp.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

const char* name_of(kernels::Ew);  // of its row in kernels/elementwise.def

class SpecialUnary final : public Elementwise {
 public:
  explicit SpecialUnary(kernels::Ew code) : code_(code) {}
  OpKind kind() const final { return OpKind::SpecialUnary; }
  kernels::Ew code() const final { return code_; }
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  Attributes attributes() const override { return {{"function", std::string(name_of(code_))}}; }
  static Made make(const Given& g);

 private:
  kernels::Ew code_;
};

class SpecialBinary final : public Elementwise {
 public:
  explicit SpecialBinary(kernels::Ew code) : code_(code) {}
  OpKind kind() const final { return OpKind::SpecialBinary; }
  kernels::Ew code() const final { return code_; }
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  Attributes attributes() const override { return {{"function", std::string(name_of(code_))}}; }
  static Made make(const Given& g);

 private:
  kernels::Ew code_;
};

class Bitwise final : public Elementwise {
 public:
  explicit Bitwise(kernels::Ew code) : code_(code) {}
  OpKind kind() const final { return OpKind::Bitwise; }
  kernels::Ew code() const final { return code_; }
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan, TensorSpan, TensorSpan) const override { return {Tensor(), Tensor()}; }
  Attributes attributes() const override { return {{"function", std::string(name_of(code_))}}; }
  static Made make(const Given& g);

 private:
  kernels::Ew code_;
};

}  // namespace ds

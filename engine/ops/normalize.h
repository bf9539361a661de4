// Softmax, cross-entropy and layer normalisation, over rows: the last dimension.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

class SoftmaxOp final : public Primitive<OpKind::SoftmaxOp> {
 public:
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

class LogSoftmaxOp final : public Primitive<OpKind::LogSoftmaxOp> {
 public:
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

class CrossEntropyOp final : public Primitive<OpKind::CrossEntropyOp> {  // (logits, target) -> loss a row
 public:
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

class CrossEntropyGrad final : public Primitive<OpKind::CrossEntropyGrad> {  // (dloss, logits, target) -> dlogits
 public:
  Types infer(std::span<const Type> in) const override { return {in[1]}; }
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

class LayerNormOp final : public Primitive<OpKind::LayerNormOp> {  // (x, weight, bias) -> y, mean, rstd
 public:
  explicit LayerNormOp(double eps) : eps_(eps) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  static Made make(const Given& g);
  Attributes attributes() const override { return {{"eps", eps_}}; }

 private:
  double eps_;
};

class LayerNormGrad final
    : public Primitive<OpKind::LayerNormGrad> {  // (dy, x, weight, mean, rstd) -> dx, dweight, dbias
 public:
  Types infer(std::span<const Type> in) const override { return {in[1], in[2], in[2]}; }
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

}  // namespace ds

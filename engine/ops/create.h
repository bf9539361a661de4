// Tensors from nothing: constants, ranges, random numbers.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

class Full final : public Primitive<OpKind::Full> {
 public:
  Full(Type type, double value) : type_(type), value_(value) {}
  double value() const { return value_; }
  Types infer(std::span<const Type>) const override { return {type_}; }
  Value value_of(Ref<Storage> element) const;  // one element, repeated by strides of 0
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Type type_;
  double value_;
};

// The op of a constant that has its value; null for anything else.
const Full* known_constant(const Tensor&);

class Arange final : public Primitive<OpKind::Arange> {
 public:
  Arange(Type type, double start, double step) : type_(type), start_(start), step_(step) {}
  Types infer(std::span<const Type>) const override { return {type_}; }
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Type type_;
  double start_, step_;
};

class RandomUniform final : public Primitive<OpKind::RandomUniform> {
 public:
  RandomUniform(Type type, kernels::Philox stream) : type_(type), stream_(stream) {}
  Types infer(std::span<const Type>) const override { return {type_}; }
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Type type_;
  kernels::Philox stream_;
};

class RandomNormal final : public Primitive<OpKind::RandomNormal> {
 public:
  RandomNormal(Type type, kernels::Philox stream) : type_(type), stream_(stream) {}
  Types infer(std::span<const Type>) const override { return {type_}; }
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Type type_;
  kernels::Philox stream_;
};

}  // namespace ds

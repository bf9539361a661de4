// Reading and writing by index.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

class TakeOp final
    : public Primitive<OpKind::TakeOp> {  // (x, index (count,)) -> x with dimension `dim` of extent count
 public:
  explicit TakeOp(int dim) : dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"dim", int64_t{dim_}}}; }
  static Made make(const Given& g);

 private:
  int dim_;
};

class PutAdd final : public Primitive<OpKind::PutAdd> {  // (y, index) -> zeros of `shape` plus y at the indices
 public:
  PutAdd(Shape shape, int dim) : shape_(shape), dim_(dim) {}
  Types infer(std::span<const Type> in) const override { return {{in[0].dtype, shape_}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"shape", to_list(shape_)}, {"dim", int64_t{dim_}}}; }
  static Made make(const Given& g);

 private:
  Shape shape_;
  int dim_;
};

class GatherOp final : public Primitive<OpKind::GatherOp> {  // (x, index): index has x's extents but along `dim`
 public:
  explicit GatherOp(int dim) : dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"dim", int64_t{dim_}}}; }
  static Made make(const Given& g);

 private:
  int dim_;
};

class ScatterAdd final : public Primitive<OpKind::ScatterAdd> {  // (y, index) -> zeros of `shape` plus y at the indices
 public:
  ScatterAdd(Shape shape, int dim) : shape_(shape), dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"shape", to_list(shape_)}, {"dim", int64_t{dim_}}}; }
  static Made make(const Given& g);

 private:
  Shape shape_;
  int dim_;
};

}  // namespace ds

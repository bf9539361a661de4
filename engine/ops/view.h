// Views: results that share their input's memory.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

class Reshape final : public Primitive<OpKind::Reshape> {
 public:
  explicit Reshape(Shape shape) : shape_(shape) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;  // copies when the strides do not allow a view
  Attributes attributes() const override { return {{"shape", to_list(shape_)}}; }
  static Made make(const Given& g);

 private:
  Shape shape_;
};

class Permute final : public Primitive<OpKind::Permute> {
 public:
  explicit Permute(std::vector<int64_t> dims) : dims_(std::move(dims)) {}
  const std::vector<int64_t>& dims() const { return dims_; }
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"dims", dims_}}; }
  static Made make(const Given& g);

 private:
  std::vector<int64_t> dims_;
};

// Whether the order of dimensions swaps the last two and leaves the others.
bool swaps_last(const std::vector<int64_t>& dims);

class Broadcast final : public Primitive<OpKind::Broadcast> {
 public:
  explicit Broadcast(Shape shape) : shape_(shape) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"shape", to_list(shape_)}}; }
  static Made make(const Given& g);

 private:
  Shape shape_;
};

// x[start : start + count * step : step] along one dimension.
class Slice final : public Primitive<OpKind::Slice> {
 public:
  Slice(int dim, int64_t start, int64_t count, int64_t step) : dim_(dim), start_(start), count_(count), step_(step) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override {
    return {{"dim", int64_t{dim_}}, {"start", start_}, {"count", count_}, {"step", step_}};
  }
  static Made make(const Given& g);

 private:
  int dim_;
  int64_t start_, count_, step_;
};

// Zeros of `shape` with x written where Slice would read: its gradient.
class SlicePut final : public Primitive<OpKind::SlicePut> {
 public:
  SlicePut(Shape shape, int dim, int64_t start, int64_t step) : shape_(shape), dim_(dim), start_(start), step_(step) {}
  Types infer(std::span<const Type> in) const override { return {{in[0].dtype, shape_}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override {
    return {{"shape", to_list(shape_)}, {"dim", int64_t{dim_}}, {"start", start_}, {"step", step_}};
  }
  static Made make(const Given& g);

 private:
  Shape shape_;
  int dim_;
  int64_t start_, step_;
};

class Concat final : public Primitive<OpKind::Concat> {
 public:
  explicit Concat(int dim) : dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"dim", int64_t{dim_}}}; }
  static Made make(const Given& g);

 private:
  int dim_;
};

class Contiguous final : public Primitive<OpKind::Contiguous> {
 public:
  Types infer(std::span<const Type> in) const override { return {in[0]}; }
  Grads vjp(TensorSpan, TensorSpan, TensorSpan grads) const override { return {grads[0]}; }
  void eval(Execution&) const override;
  static Made make(const Given& g);
};

// The iteration space of a copy: adjacent dimensions merged where every operand allows it.
kernels::EwSpace collapse(const Shape& shape, std::span<Shape> strides);

}  // namespace ds

// Running results and sorting along a dimension.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

// x -> running result; for max and min also where it stands (int64).
class ScanOp final : public Primitive<OpKind::ScanOp> {
 public:
  ScanOp(kernels::Scan how, int dim) : how_(how), dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override {
    return {{"how", std::string(kHow[static_cast<int>(how_)])}, {"dim", int64_t{dim_}}};
  }
  static Made make(const Given& g);

 private:
  static constexpr const char* kHow[] = {"sum", "prod", "max", "min", "logsumexp"};  // of kernels::Scan
  kernels::Scan how_;
  int dim_;
};

class SortOp final : public Primitive<OpKind::SortOp> {  // x -> values, indices (int64)
 public:
  SortOp(int dim, bool descending) : dim_(dim), descending_(descending) {}
  Types infer(std::span<const Type> in) const override { return {in[0], {DType::i64, in[0].shape}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override { return {{"dim", int64_t{dim_}}, {"descending", int64_t{descending_}}}; }
  static Made make(const Given& g);

 private:
  int dim_;
  bool descending_;
};

}  // namespace ds

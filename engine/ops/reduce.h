// Reductions over adjacent dimensions; reduce() permutes the reduced ones together first.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

// (outer, middle, inner) -> (outer, inner): dimensions [first, last) of the input are reduced and dropped.
class ReduceOp final : public Primitive<OpKind::ReduceOp> {
 public:
  ReduceOp(kernels::Reduce how, int first, int last) : how_(how), first_(first), last_(last) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override {
    return {{"how", std::string(kHow[static_cast<int>(how_)])}, {"first", int64_t{first_}}, {"last", int64_t{last_}}};
  }
  static Made make(const Given& g);

 private:
  static constexpr const char* kHow[] = {"sum", "max", "min", "prod", "any", "all"};  // of kernels::Reduce
  kernels::Reduce how_;
  int first_, last_;
};

class ArgReduceOp final : public Primitive<OpKind::ArgReduceOp> {
 public:
  ArgReduceOp(kernels::ArgReduce how, int dim) : how_(how), dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override {
    return {{"how", std::string(how_ == kernels::ArgReduce::argmax ? "argmax" : "argmin")}, {"dim", int64_t{dim_}}};
  }
  static Made make(const Given& g);

 private:
  kernels::ArgReduce how_;
  int dim_;
};

}  // namespace ds

// Writes: a tensor with some of its elements replaced or changed, in its own memory where nobody else looks.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

// A strided box: start, count and step of each dimension; steps may be negative.
struct Box {
  std::vector<int64_t> start, count, step;
};

class SliceUpdate final : public Primitive<OpKind::SliceUpdate> {  // (base, value of the box's extents) -> base
 public:
  explicit SliceUpdate(Box box) : box_(std::move(box)) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override { return {{"start", box_.start}, {"count", box_.count}, {"step", box_.step}}; }
  static Made make(const Given& g);

 private:
  Box box_;
};

// (base, index, value) -> base changed along `dim`; the index is (count,) or of value's shape, and value has base's
// extents but along `dim`.
class IndexUpdate final : public Primitive<OpKind::IndexUpdate> {
 public:
  IndexUpdate(kernels::Write how, int dim) : how_(how), dim_(dim) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Attributes attributes() const override {
    return {{"how", std::string(kHow[static_cast<int>(how_)])}, {"dim", int64_t{dim_}}};
  }
  static Made make(const Given& g);

 private:
  static constexpr const char* kHow[] = {"assign", "add", "mul", "max", "min"};  // of kernels::Write
  kernels::Write how_;
  int dim_;
};

// Runs `body`; a kernel's index out of range becomes an IndexError.
template <class F>
void with_index_errors(F&& body) {
  try {
    body();
  } catch (const std::out_of_range& e) {
    throw IndexError(e.what());
  }
}

}  // namespace ds

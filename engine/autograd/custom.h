// A gradient of one's own for values that were computed out of autograd's sight; and values without one.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "engine/lazy/op.h"

namespace ds {

// Gradients of the inputs (an empty Tensor: none), given those of the outputs (an empty Tensor: zero).
using Vjp = std::function<std::vector<Tensor>(std::span<const Tensor> grads)>;

// `outputs` as results of `inputs`, differentiated by `vjp`. `name` is for those who meet it in a graph: vjp cannot be
// written down.
std::vector<Tensor> custom_gradient(std::vector<Tensor> outputs, std::vector<Tensor> inputs, Vjp vjp,
                                    std::string name = "custom_gradient");

// The same value outside of autograd. Unlike Tensor::detach() it computes nothing yet.
Tensor stop_gradient(const Tensor& x);

class Custom : public Primitive<OpKind::Custom> {  // (outputs..., inputs...) -> outputs
 public:
  static constexpr const char* kStop = "stop_gradient";  // the name of the one that has no vjp
  Custom(size_t outputs, Vjp vjp, std::string name) : outputs_(outputs), vjp_(std::move(vjp)), name_(std::move(name)) {}
  Types infer(std::span<const Type> in) const override { return {in.begin(), in.begin() + outputs_}; }
  std::vector<Tensor> vjp(std::span<const Tensor> in, std::span<const Tensor>,
                          std::span<const Tensor> grads) const override;
  void eval(Execution& e) const override;
  Attributes attributes() const override { return {{"function", name_}}; }
  static Made make(const Given& g);  // of stop_gradient and blocked attention; throws for any other

 private:
  size_t outputs_;
  Vjp vjp_;
  std::string name_;
};

}  // namespace ds

#include "engine/autograd/custom.h"

#include "engine/ops/elementwise.h"

namespace ds {
namespace {

class Custom final : public Primitive<OpKind::Custom> {  // (outputs..., inputs...) -> outputs
 public:
  Custom(size_t outputs, Vjp vjp) : outputs_(outputs), vjp_(std::move(vjp)) {}
  Types infer(std::span<const Type> in) const override { return {in.begin(), in.begin() + outputs_}; }
  Grads vjp(TensorSpan in, TensorSpan, TensorSpan grads) const override {
    Grads out(outputs_);
    std::vector<Tensor> of_inputs = vjp_(grads);
    for (size_t i = 0; i < of_inputs.size(); ++i) {
      const Tensor& x = in[outputs_ + i];
      if (of_inputs[i] && of_inputs[i].shape() != x.shape())
        fail("custom", "the gradient of input ", i, " is ", of_inputs[i].type(), ", the input is ", x.type());
      out.push_back(of_inputs[i] ? cast(of_inputs[i], x.dtype()) : Tensor());
    }
    return out;
  }
  void eval(Execution& e) const override {
    for (int i = 0; i < static_cast<int>(outputs_); ++i) e.alias(i, e.input(i));
  }

 private:
  size_t outputs_;
  Vjp vjp_;
};

}  // namespace

std::vector<Tensor> custom_gradient(std::vector<Tensor> outputs, std::vector<Tensor> inputs, Vjp vjp) {
  size_t count = outputs.size();
  for (Tensor& x : inputs) outputs.push_back(std::move(x));
  return append(std::make_unique<Custom>(count, std::move(vjp)), std::move(outputs));
}

Tensor stop_gradient(const Tensor& x) {
  if (!x.requires_grad()) return x;
  NoGrad no_grad;
  return append1(std::make_unique<Custom>(1, Vjp()), {x});
}

}  // namespace ds

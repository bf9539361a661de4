#include "engine/autograd/custom.h"

#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"

namespace ds {
std::vector<Tensor> Custom::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
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

void Custom::eval(Execution& e) const {
  for (int i = 0; i < static_cast<int>(outputs_); ++i) e.alias(i, e.input(i));
}

Made Custom::make(const Given& g) {
  if (g.text("function") == BlockedAttention::kName) return BlockedAttention::make(g);
  if (g.text("function") != kStop)
    fail(g.op(), "the gradient of \"", g.text("function"), "\" is a function of its own: it cannot be written down");
  g.takes(1);
  return std::make_unique<Custom>(1, Vjp(), kStop);
}

std::vector<Tensor> custom_gradient(std::vector<Tensor> outputs, std::vector<Tensor> inputs, Vjp vjp,
                                    std::string name) {
  size_t count = outputs.size();
  for (Tensor& x : inputs) outputs.push_back(std::move(x));
  return append(std::make_unique<Custom>(count, std::move(vjp), std::move(name)), std::move(outputs));
}

Tensor stop_gradient(const Tensor& x) {
  if (!x.requires_grad()) return x;
  NoGrad no_grad;
  return append1(std::make_unique<Custom>(1, Vjp(), Custom::kStop), {x});
}

}  // namespace ds

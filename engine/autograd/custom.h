// A gradient of one's own for values that were computed out of autograd's sight; and values without one.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "engine/lazy/tensor.h"

namespace ds {

// Gradients of the inputs (an empty Tensor: none), given those of the outputs (an empty Tensor: zero).
using Vjp = std::function<std::vector<Tensor>(std::span<const Tensor> grads)>;

// `outputs` as results of `inputs`, differentiated by `vjp`.
std::vector<Tensor> custom_gradient(std::vector<Tensor> outputs, std::vector<Tensor> inputs, Vjp vjp);

// The same value outside of autograd. Unlike Tensor::detach() it computes nothing yet.
Tensor stop_gradient(const Tensor& x);

}  // namespace ds

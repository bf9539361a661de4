#include "engine/nn/module.h"

namespace ds::nn {

uint64_t Initializer::claim(const Shape& shape) {
  uint64_t start = offset_;
  offset_ += static_cast<uint64_t>(shape.numel() + 1) / 2 + 1;  // enough for every dtype
  return start;
}

Tensor Initializer::uniform(const Shape& shape, double low, double high) {
  return random_uniform(shape, seed_, claim(shape), dtype_, device_) * (high - low) + low;
}

Tensor Initializer::normal(const Shape& shape, double mean, double std) {
  return random_normal(shape, seed_, claim(shape), dtype_, device_) * std + mean;
}

Tensor Initializer::constant(const Shape& shape, double value) {
  return contiguous(full(shape, value, dtype_, device_));
}

Tensor& Module::register_parameter(std::string name, Tensor& tensor) {
  tensor = tensor.detach().set_requires_grad(true);
  parameters_.emplace_back(std::move(name), &tensor);
  return tensor;
}

std::vector<NamedParameter> Module::named_parameters() {
  std::vector<NamedParameter> out;
  for (auto& [name, p] : parameters_) out.push_back({name, p});
  for (auto& [name, child] : children_)
    for (NamedParameter& p : child->named_parameters()) out.push_back({name + "." + p.name, p.parameter});
  return out;
}

int64_t Module::parameter_count() {
  int64_t n = 0;
  for (auto& p : named_parameters()) n += p.parameter->numel();
  return n;
}

}  // namespace ds::nn

// Optimizers: a step appends the update to the trace, so that it runs in one plan with the backward pass, in place.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"

namespace ds::optim {

struct States {
  std::string name;              // "m"
  std::vector<Tensor>* tensors;  // one a parameter, of its type unless `of` says which have one
  std::vector<size_t> of = {};   // numbers of those parameters, in order
};

class Optimizer {
 public:
  explicit Optimizer(std::vector<nn::NamedParameter> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;
  // Replaces every parameter by its updated value (lazily). grads are in the order of the parameters.
  void step(std::span<const Tensor> grads, double lr);
  // After the values were computed: parameters are leaves that require gradients again.
  void settle();
  // Everything that must be evaluated to finish a step: parameters and states.
  std::vector<Tensor> values() const;
  virtual std::vector<States> states() { return {}; }
  int64_t steps() const { return steps_; }
  void set_steps(int64_t n) { steps_ = n; }  // when resuming
  const std::vector<nn::NamedParameter>& parameters() const { return parameters_; }

 protected:
  virtual Tensor update(size_t i, const Tensor& parameter, const Tensor& grad, double lr) = 0;
  virtual std::vector<Tensor> state_values() const { return {}; }
  std::vector<Tensor> zeros_like_parameters() const;
  std::vector<nn::NamedParameter> parameters_;
  int64_t steps_ = 0;
};

struct SgdOptions {
  double momentum = 0, weight_decay = 0;
};
// v = momentum v + (g + weight_decay p); p -= lr v
std::unique_ptr<Optimizer> sgd(std::vector<nn::NamedParameter> parameters, SgdOptions = {});

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
};
// Loshchilov & Hutter, arXiv 1711.05101: decay apart from the gradient.
std::unique_ptr<Optimizer> adamw(std::vector<nn::NamedParameter> parameters, AdamWOptions = {});

struct Schedule {
  enum class Kind : uint8_t { constant, cosine } kind = Kind::constant;
  double lr = 1e-3, min_lr = 0;
  int64_t warmup_steps = 0, total_steps = 0;
  // Of the step with this number, counted from 0: linear warm-up to lr, then constant, or half a cosine down to min_lr.
  double at(int64_t step) const;
};

}  // namespace ds::optim

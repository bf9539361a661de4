#include "engine/optim/optimizer.h"

#include <cmath>
#include <numbers>

#include "engine/ops/adamw.h"

namespace ds::optim {
namespace {

class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<nn::NamedParameter> parameters, SgdOptions o) : Optimizer(std::move(parameters)), o_(o) {
    if (o_.momentum != 0) velocity_ = zeros_like_parameters();
  }
  std::vector<States> states() override {
    if (velocity_.empty()) return {};
    return {{"velocity", &velocity_}};
  }

 private:
  Tensor update(size_t i, const Tensor& p, const Tensor& grad, double lr) override {
    Tensor g = o_.weight_decay != 0 ? grad + p * o_.weight_decay : grad;
    if (o_.momentum == 0) return p - g * lr;
    velocity_[i] = velocity_[i] * o_.momentum + g;
    return p - velocity_[i] * lr;
  }
  std::vector<Tensor> state_values() const override { return velocity_; }
  SgdOptions o_;
  std::vector<Tensor> velocity_;
};

class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<nn::NamedParameter> parameters, AdamWOptions o)
      : Optimizer(std::move(parameters)), o_(o), m_(zeros_like_parameters()), v_(zeros_like_parameters()) {}
  std::vector<States> states() override { return {{"m", &m_}, {"v", &v_}}; }

 private:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr) override {
    double t = static_cast<double>(steps_);
    double size = lr / (1 - std::pow(o_.beta1, t)), scale = 1 / std::sqrt(1 - std::pow(o_.beta2, t));
    kernels::AdamW factors{o_.beta1, o_.beta2, o_.eps, size, scale, 1 - lr * o_.weight_decay};
    auto updated = append(std::make_unique<AdamWOp>(factors), {p, std::move(m_[i]), std::move(v_[i]), g});
    m_[i] = std::move(updated[1]), v_[i] = std::move(updated[2]);
    return std::move(updated[0]);
  }
  std::vector<Tensor> state_values() const override {
    std::vector<Tensor> out = m_;
    out.insert(out.end(), v_.begin(), v_.end());
    return out;
  }
  AdamWOptions o_;
  std::vector<Tensor> m_, v_;
};

}  // namespace

void Optimizer::step(std::span<const Tensor> grads, double lr) {
  if (grads.size() != parameters_.size())
    fail("optimizer", grads.size(), " gradients for ", parameters_.size(), " parameters");
  NoGrad no_grad;
  ++steps_;
  for (size_t i = 0; i < grads.size(); ++i)
    *parameters_[i].parameter = update(i, *parameters_[i].parameter, grads[i], lr);
}

void Optimizer::settle() {
  for (auto& p : parameters_) *p.parameter = p.parameter->detach().set_requires_grad(true);
}

std::vector<Tensor> Optimizer::values() const {
  std::vector<Tensor> out = state_values();
  for (const auto& p : parameters_) out.push_back(*p.parameter);
  return out;
}

std::vector<Tensor> Optimizer::zeros_like_parameters() const {
  std::vector<Tensor> out;
  for (const auto& p : parameters_)
    out.push_back(contiguous(zeros(p.parameter->shape(), p.parameter->dtype(), p.parameter->device())));
  return out;
}

std::unique_ptr<Optimizer> sgd(std::vector<nn::NamedParameter> p, SgdOptions o) {
  return std::make_unique<Sgd>(std::move(p), o);
}
std::unique_ptr<Optimizer> adamw(std::vector<nn::NamedParameter> p, AdamWOptions o) {
  return std::make_unique<AdamW>(std::move(p), o);
}

double Schedule::at(int64_t step) const {
  if (step < warmup_steps) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (kind == Kind::constant) return lr;
  double span = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  double x = std::min(1.0, static_cast<double>(step - warmup_steps) / span);
  return min_lr + (lr - min_lr) * 0.5 * (1 + std::cos(std::numbers::pi * x));
}

}  // namespace ds::optim

// Layers, initialised as PyTorch initialises them.
#pragma once
#include "engine/nn/module.h"

namespace ds::nn {

class Linear final : public Module {
 public:
  Linear(int64_t in, int64_t out, Initializer& init, bool bias = true);
  Tensor forward(const Tensor& x) override { return linear(x, weight_, bias_); }

 private:
  Tensor weight_, bias_;  // (out,in), (out,)
};

class Conv2d final : public Module {
 public:
  Conv2d(int64_t in, int64_t out, int64_t kernel, Initializer& init, Conv2dOptions options = {});
  Tensor forward(const Tensor& x) override { return conv2d(x, weight_, bias_, options_); }

 private:
  Tensor weight_, bias_;
  Conv2dOptions options_;
};

class LayerNorm final : public Module {
 public:
  LayerNorm(int64_t width, Initializer& init, double eps = 1e-5);
  Tensor forward(const Tensor& x) override { return layer_norm(x, weight_, bias_, eps_); }

 private:
  Tensor weight_, bias_;
  double eps_;
};

class Embedding final : public Module {
 public:
  Embedding(int64_t entries, int64_t width, Initializer& init, double std = 1.0);
  Tensor forward(const Tensor& index) override { return embedding(index, weight_); }
  const Tensor& weight() const { return weight_; }

 private:
  Tensor weight_;
};

// Causal multi-head self-attention over (batch,sequence,width).
class SelfAttention final : public Module {
 public:
  SelfAttention(int64_t width, int64_t heads, Initializer& init);
  Tensor forward(const Tensor& x) override;

 private:
  int64_t heads_;
  Linear qkv_, projection_;
};

}  // namespace ds::nn

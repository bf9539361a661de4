#include "engine/nn/layers.h"

#include <cmath>

namespace ds::nn {

Linear::Linear(int64_t in, int64_t out, Initializer& init, bool bias) {
  double bound = 1 / std::sqrt(static_cast<double>(in));  // kaiming_uniform with a = sqrt(5)
  weight_ = init.uniform({out, in}, -bound, bound);
  register_parameter("weight", weight_);
  if (!bias) return;
  bias_ = init.uniform({out}, -bound, bound);
  register_parameter("bias", bias_);
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, Initializer& init, Conv2dOptions options) : options_(options) {
  double bound = 1 / std::sqrt(static_cast<double>(in / options.groups * kernel * kernel));
  weight_ = init.uniform({out, in / options.groups, kernel, kernel}, -bound, bound);
  bias_ = init.uniform({out}, -bound, bound);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

LayerNorm::LayerNorm(int64_t width, Initializer& init, double eps) : eps_(eps) {
  weight_ = init.constant({width}, 1);
  bias_ = init.constant({width}, 0);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Embedding::Embedding(int64_t entries, int64_t width, Initializer& init, double std) {
  weight_ = init.normal({entries, width}, 0, std);
  register_parameter("weight", weight_);
}

SelfAttention::SelfAttention(int64_t width, int64_t heads, Initializer& init)
    : heads_(heads), qkv_(width, 3 * width, init), projection_(width, width, init) {
  if (heads < 1 || width % heads) fail("attention", "the width ", width, " does not divide into ", heads, " heads");
  register_module("qkv", qkv_);
  register_module("projection", projection_);
}

Tensor SelfAttention::forward(const Tensor& x) {
  int64_t b = x.size(0), s = x.size(1), w = x.size(2), d = w / heads_;
  Tensor qkv = permute(reshape(qkv_(x), {b, s, 3, heads_, d}), {2, 0, 3, 1, 4});  // (3,batch,heads,sequence,d)
  auto part = [&](int64_t i) { return squeeze(slice(qkv, 0, i, i + 1), 0); };
  Tensor scores = matmul(part(0), transpose(part(1), -2, -1)) * (1 / std::sqrt(static_cast<double>(d)));
  Tensor position = arange(0, static_cast<double>(s), 1, DType::i64, x.device());
  Tensor future = less(unsqueeze(position, 1), unsqueeze(position, 0));  // (sequence,sequence)
  Tensor weights = softmax(where(future, like(scores, -INFINITY), scores));
  Tensor y = permute(matmul(weights, part(2)), {0, 2, 1, 3});
  return projection_(reshape(y, {b, s, w}));
}

}  // namespace ds::nn

// The gradient of attention that was computed a block of queries at a time, out of autograd's sight.
#pragma once
#include "engine/autograd/custom.h"

namespace ds {

// (result, q, k, v[, mask]) -> result. q is (groups,queries,width), k and v have keys instead of queries, the mask is
// (groups or 1, queries or 1, keys or 1), true where a key takes part or added to the scores.
class BlockedAttention final : public Custom {
 public:
  static constexpr const char* kName = "scaled_dot_product_attention";
  BlockedAttention(bool causal, double scale) : Custom(1, {}, kName), causal_(causal), scale_(scale) {}
  std::vector<Tensor> vjp(std::span<const Tensor> in, std::span<const Tensor> out,
                          std::span<const Tensor> grads) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  bool causal_;
  double scale_;
};

}  // namespace ds

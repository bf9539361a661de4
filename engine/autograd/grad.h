// Reverse-mode differentiation, as a transformation of the graph: gradients are appended to the same trace, so that
// forward, backward and optimizer run as one plan.
#pragma once
#include <span>
#include <vector>

#include "engine/lazy/tensor.h"

namespace ds {

struct GradOptions {
  Tensor grad_output = {};    // seed, with output's type; empty: 1, and output must have one element
  bool create_graph = false;  // gradients can be differentiated again
  bool retain_graph = false;  // the graph may be used once more; else its memory goes as it runs, and a second grad
                              // over a part of it throws Error
  bool allow_unused = false;  // an input that output does not depend on gives an empty Tensor instead of an Error
};

// d output / d inputs, each with its input's type.
std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, const GradOptions& = {});

}  // namespace ds

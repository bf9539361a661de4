// The built-in families that a job file names.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"

namespace ds::models {

struct ModelSpec {
  std::string family = {};                                           // mlp | cnn | gpt
  std::vector<int64_t> hidden = {};                                  // mlp
  std::vector<int64_t> channels = {};                                // cnn
  int64_t layers = 0, heads = 0, width = 0, context = 0, vocab = 0;  // gpt
  std::vector<int64_t> input_shape = {};                             // of one sample
  int64_t classes = 0;
};

// forward: inputs -> logits (rows,classes), one row a target.
class Model : public nn::Module {};

// Throws Error naming the field of the spec that is impossible.
std::unique_ptr<Model> make_model(const ModelSpec& spec, uint64_t seed, Device device = {});

}  // namespace ds::models

// What the training loop trains: the built-in families that a job file names, and traced graphs (graph_file.h).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"

namespace ds::models {

struct ModelSpec {
  std::string family = {};             // mlp | cnn | gpt
  std::vector<int64_t> hidden = {};    // mlp
  std::vector<int64_t> channels = {};  // cnn
  int64_t depth = 0;                   // mlp, cnn: layers, the list's last width repeated; 0: as the list says
  int64_t layers = 0, heads = 0, width = 0, context = 0, vocab = 0;  // gpt
  std::vector<int64_t> input_shape = {};                             // of one sample
  int64_t classes = 0;
};

// Where the random numbers of a step come from: the same for the same job, step and part of the global batch, whoever
// computes it.
struct Draw {
  uint64_t seed = 0;
  int64_t step = 0, part = 0;
};

struct NamedBuffer {
  std::string name;
  Tensor* tensor;  // owned by the model
  bool changes;    // in training
};

// Of a batch, or a part of it: (samples, shape of one...) each.
struct Samples {
  std::vector<Tensor> inputs, targets;
};

struct Forward {
  Tensor loss;                  // float32 scalar
  std::vector<Tensor> buffers;  // new values of those that change, in their order
};

struct Assessment {
  Tensor loss;     // float32 scalar: the sum over the (first) targets
  Tensor correct;  // int64 scalar: how many targets are right; empty where they are no classes
};

// forward: an input -> logits (rows,classes), one row a target. The built-in families take one input and one target.
class Model : public nn::Module {
 public:
  // What these samples add to the mean loss over a batch of `batch` samples. Default: cross entropy.
  virtual Forward train(const Samples& samples, int64_t batch, const Draw& draw);
  virtual Assessment assess(const Samples& samples, const Draw& draw);
  // What belongs to the model beside its parameters: statistics, frozen weights.
  virtual std::vector<NamedBuffer> buffers() { return {}; }
};

// Throws Error naming the field of the spec that is impossible.
std::unique_ptr<Model> make_model(const ModelSpec& spec, uint64_t seed, Device device = {});

}  // namespace ds::models

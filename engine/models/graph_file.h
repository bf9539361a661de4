// The file of a traced model: safetensors, whose metadata holds the graphs as JSON under kGraphKey (docs/graph-jobs.md)
// and whose tensors are its parameters, buffers and constants.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/models/graph.h"

namespace ds::models {

inline constexpr const char* kGraphKey = "deepseek.graph";
inline constexpr int kGraphVersion = 1;

struct GraphTensor {
  std::string name;
  Tensor value;
  bool trained = false;  // a parameter that gets gradients
  bool kept = false;     // in checkpoints: parameters and buffers; else a constant
};

struct GraphFile {
  Type input, target;  // of one sample
  std::vector<GraphTensor> tensors;
  Graph train, eval;
};

// Reads and checks a file: both graphs are replayed, for shapes alone, at two batch sizes. Throws Error naming the file
// and what is wrong with it.
GraphFile read_graph(const std::string& path);

// A model that trains what the file holds. `input` and `target` are the types of the data's samples: other shapes of as
// many elements are reshaped, other dtypes cast where nothing is lost but precision. Throws Error where they do not
// fit.
std::unique_ptr<Model> make_graph_model(GraphFile file, const Type& input, const Type& target);

}  // namespace ds::models

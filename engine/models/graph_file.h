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

// A number or a tensor that an optimizer keeps for each parameter.
struct GraphState {
  std::string name;
  Type type;            // where `like_parameter`, the dtype alone
  bool like_parameter;  // of the parameter's shape
  double value;         // before the first step, everywhere
  Place next;           // its new value
};

// What a step makes of some parameters. The graph's tensors: "parameter", "gradient", "lr" and "step" (float64; the
// rate, and how many steps were made), and "state:NAME".
struct GraphUpdate {
  std::vector<std::string> parameters;
  double lr = 1;  // a multiple of the job's
  std::vector<GraphState> states;
  std::map<std::string, Tensor> constants;
  Graph graph;
  Place value;  // of the parameter
};

struct GraphOptimizer {
  std::string name;
  std::vector<GraphUpdate> updates;  // every trained parameter is in one of them
  bool elementwise = false;          // each element for itself, in the same states everywhere: shards can be updated
};

struct GraphFile {
  std::vector<Type> inputs, targets;  // of one sample
  std::vector<GraphTensor> tensors;
  Graph train, eval;
  std::optional<GraphOptimizer> optimizer;
};

// Reads and checks a file: its graphs are replayed, for shapes alone, those of the model at two batch sizes. Throws
// Error naming the file and what is wrong with it.
GraphFile read_graph(const std::string& path);

// A model that trains what the file holds. `inputs` and `targets` are the types of the data's samples: other shapes of
// as many elements are reshaped, other dtypes cast where nothing is lost but precision. Throws Error where they do not
// fit.
std::unique_ptr<Model> make_graph_model(GraphFile file, const std::vector<Type>& inputs,
                                        const std::vector<Type>& targets);

}  // namespace ds::models

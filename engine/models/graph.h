// A graph: ops of the table over named tensors and the samples of a batch of any size, replayed by appending its nodes
// to the trace. What depends on the batch does so by a formula that stands in the graph.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/lazy/given.h"
#include "engine/models/model.h"
#include "engine/ops/make.h"

namespace ds::models {

struct Place {  // an output of a node
  size_t node;
  int output;
};

// A part of an attribute that depends on the batch n: factor * (a n + b) / (c n + d). A whole number has c = 0, d = 1.
struct Scaled {
  std::string attribute;
  int entry = -1;  // of a list; -1: the attribute itself
  bool whole = false;
  double factor = 1, a = 0, b = 0, c = 0, d = 1;
};

struct GraphNode {
  enum class Kind : uint8_t { op, input, target, tensor };
  Kind kind = Kind::op;
  std::string name;              // of the op, or of the tensor
  size_t index = 0;              // of the input, or of the target
  const Maker* maker = nullptr;  // of an op
  std::vector<Place> inputs;
  Given::Map attributes;
  std::vector<Scaled> scaled;
  bool no_grad = false;  // no gradient passes
  bool shaped = false;   // its "shape" is that of the parameter which the graph updates
  int fresh = -1;        // random: the number of its stream, which is new each step; -1: as the attributes say
};

// One mode of a model, training or evaluation; or a step of an optimizer, which has nodes alone.
struct Graph {
  std::vector<GraphNode> nodes;  // inputs before users
  std::optional<Place> loss;     // a scalar: the mean over the samples
  std::optional<Place> correct;  // how many targets the output names right, where they are classes
  std::vector<Place> outputs;
  std::vector<std::pair<std::string, Place>> updates;  // new values of buffers
};

// What a graph is replayed on.
struct Feed {
  std::vector<Tensor> inputs, targets;               // of the batch
  std::function<Tensor(const std::string&)> tensor;  // those with names
  Draw draw;
  Shape parameter = {};  // what a step of an optimizer updates
  Device device = {};
};

// The values of a graph's nodes.
class Replayed {
 public:
  const Tensor& at(const Place& p) const { return values_.at(p.node).at(p.output); }

 private:
  friend Replayed replay(const Graph&, const Feed&);
  std::vector<std::vector<Tensor>> values_;
};

// Appends the graph. Throws Error naming the node and what does not fit.
Replayed replay(const Graph& graph, const Feed& feed);

}  // namespace ds::models

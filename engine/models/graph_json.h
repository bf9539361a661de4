// Parts of a graph file's JSON, checked as they are read: an Error names where something is not what it should be.
#pragma once
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine/models/graph_file.h"

namespace ds::models {

using Json = nlohmann::json;

const Json& member(const Json& of, const char* name, const std::string& where);
double number_of(const Json& v, const std::string& where);  // or {"float": a number, "inf", "-inf", "nan"}
const std::string& text_of(const Json& v, const std::string& where);
Type type_of(const Json& v, const std::string& where);                // {dtype, shape}
std::vector<Type> types_of(const Json& v, const std::string& where);  // one, or a list of them

// The nodes of one graph of the file, and places in it.
class GraphReader {
 public:
  struct Counts {
    size_t inputs, targets;  // of a sample
  };
  // tensors: the names that its nodes may have.
  GraphReader(const Json& json, const std::set<std::string>& tensors, Counts counts, std::string where);
  Place place(const Json& v, const std::string& where) const;
  Graph model();  // one mode of a model
  Graph nodes() { return std::move(graph_); }

 private:
  GraphNode node(const Json& v, const std::string& where) const;

  const Json& json_;
  const std::set<std::string>& tensors_;
  Counts counts_;
  std::string where_;
  Graph graph_;
};

// The section "optimizer", for the parameters among `tensors`.
GraphOptimizer read_optimizer(const Json& json, const std::vector<GraphTensor>& tensors);

}  // namespace ds::models

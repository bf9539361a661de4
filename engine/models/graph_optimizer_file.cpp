// The section "optimizer" of a graph file.
#include <algorithm>

#include "engine/models/graph_file.h"
#include "engine/models/graph_json.h"

namespace ds::models {
namespace {

constexpr const char* kOp = "graph";

std::vector<GraphState> states_of(const Json& list, const GraphReader& reader, const std::string& where) {
  if (!list.is_array()) fail(kOp, where, " is no list");
  std::vector<GraphState> out;
  for (const Json& s : list) {
    GraphState state{};
    state.name = text_of(member(s, "name", where), where + ".name");
    const std::string here = where + " \"" + state.name + "\"";
    auto named = [&](const GraphState& other) { return other.name == state.name; };
    if (std::any_of(out.begin(), out.end(), named)) fail(kOp, here, " stands there twice");
    state.like_parameter = member(s, "shape", here) == "parameter";
    state.type =
        type_of(state.like_parameter ? Json{{"dtype", member(s, "dtype", here)}, {"shape", Json::array()}} : s, here);
    check_size(kOp, state.type.shape);
    state.value = number_of(member(s, "value", here), here + ".value");
    state.next = reader.place(member(s, "next", here), here + ".next");
    out.push_back(std::move(state));
  }
  return out;
}

GraphUpdate read_update(const Json& json, const std::map<std::string, const GraphTensor*>& tensors,
                        const std::string& where) {
  GraphUpdate u;
  u.lr = number_of(member(json, "lr", where), where + ".lr");
  std::set<std::string> names{"parameter", "gradient", "lr", "step"};
  for (auto& [name, t] : tensors)
    if (!t->kept && !t->trained && names.insert(name).second) u.constants.emplace(name, t->value);
  const Json& states = member(json, "states", where);
  for (const Json& s : states)
    if (s.is_object()) names.insert("state:" + s.value("name", ""));
  GraphReader reader(json, names, {}, where);
  u.states = states_of(states, reader, where + ".states");
  u.value = reader.place(member(json, "value", where), where + ".value");
  u.graph = reader.nodes();
  const Json& parameters = member(json, "parameters", where);
  if (!parameters.is_array() || parameters.empty()) fail(kOp, where, ".parameters is ", parameters.dump());
  for (const Json& p : parameters) u.parameters.push_back(text_of(p, where + ".parameters"));
  return u;
}

Type type_for(const GraphState& s, const Shape& parameter) {
  return {s.type.dtype, s.like_parameter ? parameter : s.type.shape};
}

// For shapes alone: what comes out is of the types that went in.
void check_update(const GraphUpdate& u, const std::string& name, const Type& type) {
  std::map<std::string, Tensor> given = u.constants;
  given["parameter"] = given["gradient"] = zeros(type.shape, type.dtype);
  given["lr"] = given["step"] = zeros({}, DType::f64);
  for (const GraphState& s : u.states) {
    Type t = type_for(s, type.shape);
    given["state:" + s.name] = zeros(t.shape, t.dtype);
  }
  Feed feed;
  feed.tensor = [&](const std::string& n) { return given.at(n); };
  feed.parameter = type.shape;
  Replayed r = replay(u.graph, feed);
  auto check = [&](const std::string& what, const Place& p, const Type& wanted) {
    const Type* made = nullptr;
    try {
      made = &r.at(p).type();
    } catch (const std::out_of_range&) {
      fail(kOp, what, " of \"", name, "\" is an output that its node does not have");
    }
    if (!(*made == wanted)) fail(kOp, what, " of \"", name, "\" becomes ", *made, ", it is ", wanted);
  };
  check("the value", u.value, type);
  for (const GraphState& s : u.states) check("state \"" + s.name + "\"", s.next, type_for(s, type.shape));
}

bool is_elementwise(const GraphNode& n) {
  if (n.kind != GraphNode::Kind::op) return true;
  if (ds::is_elementwise(n.maker->category)) return true;
  if (n.name != "full" && n.name != "broadcast_to") return false;
  const auto* shape = std::get_if<std::vector<int64_t>>(&n.attributes.at("shape"));
  return n.shaped || (shape && shape->empty());
}

// Whether the new value of the parameter is made of the gradient: where it is not, it must not take its memory.
bool uses_gradient(const Graph& graph, size_t node) {
  std::vector<bool> uses(graph.nodes.size());
  for (size_t i = 0; i <= node; ++i) {
    const GraphNode& n = graph.nodes[i];
    uses[i] = n.kind == GraphNode::Kind::tensor && n.name == "gradient";
    for (const Place& p : n.inputs) uses[i] = uses[i] || uses[p.node];
  }
  return uses[node];
}

// Whether shards can be updated, which hold pieces of several parameters.
bool is_elementwise(const GraphOptimizer& o, const std::map<std::string, const GraphTensor*>& tensors) {
  auto names = [](const GraphUpdate& u) {
    std::set<std::string> out;
    for (const GraphState& s : u.states) out.insert(s.name);
    return out;
  };
  for (const GraphUpdate& u : o.updates) {
    DType dtype = tensors.at(u.parameters[0])->value.dtype();
    for (const GraphState& s : u.states)
      if (!s.like_parameter || s.type.dtype != dtype) return false;
    for (const GraphNode& n : u.graph.nodes)
      if (!is_elementwise(n)) return false;
    if (names(u) != names(o.updates[0]) || !uses_gradient(u.graph, u.value.node)) return false;
  }
  return true;
}

}  // namespace

GraphOptimizer read_optimizer(const Json& json, const std::vector<GraphTensor>& tensors) {
  std::map<std::string, const GraphTensor*> by_name;
  for (const GraphTensor& t : tensors) by_name[t.name] = &t;
  GraphOptimizer o;
  o.name = text_of(member(json, "name", "optimizer"), "optimizer.name");
  const Json& updates = member(json, "updates", "optimizer");
  if (!updates.is_array()) fail(kOp, "optimizer.updates is no list");
  std::set<std::string> updated;
  for (const Json& u : updates) {
    const std::string where = "optimizer.updates[" + std::to_string(o.updates.size()) + "]";
    o.updates.push_back(read_update(u, by_name, where));
    for (const std::string& name : o.updates.back().parameters) {
      auto it = by_name.find(name);
      if (it == by_name.end() || !it->second->trained) fail(kOp, where, ": no parameter \"", name, "\" is trained");
      if (!updated.insert(name).second) fail(kOp, where, ": \"", name, "\" is updated twice");
      check_update(o.updates.back(), name, it->second->value.type());
    }
  }
  for (const GraphTensor& t : tensors)
    if (t.trained && !updated.count(t.name)) fail(kOp, "optimizer: nothing updates \"", t.name, "\"");
  o.elementwise = is_elementwise(o, by_name);
  return o;
}

}  // namespace ds::models

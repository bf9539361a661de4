#include "engine/models/graph_json.h"

#include <limits>

namespace ds::models {
namespace {

constexpr const char* kOp = "graph";

// {"whole": [a, b]}: a n + b; {"ratio": [f, a, b, c, d]}: f (a n + b) / (c n + d).
Scaled scaled(const std::string& name, int entry, bool whole, const Json& v, const std::string& where) {
  Scaled s;
  s.attribute = name, s.entry = entry, s.whole = whole;
  const Json& numbers = member(v, whole ? "whole" : "ratio", where);
  if (!numbers.is_array() || numbers.size() != (whole ? 2u : 5u)) fail(kOp, where, " is ", v.dump());
  double value[5];
  for (size_t i = 0; i < numbers.size(); ++i) value[i] = number_of(numbers[i], where);
  if (whole)
    s.a = value[0], s.b = value[1];
  else
    s.factor = value[0], s.a = value[1], s.b = value[2], s.c = value[3], s.d = value[4];
  return s;
}

void attribute(GraphNode& n, const std::string& name, const Json& v, const std::string& where) {
  if (v.is_array()) {
    std::vector<int64_t> list;
    for (const Json& entry : v) {
      if (entry.is_object())
        n.scaled.push_back(scaled(name, static_cast<int>(list.size()), true, entry, where));
      else if (!entry.is_number_integer())
        fail(kOp, where, " holds ", entry.dump(), ", not a whole number");
      list.push_back(entry.is_object() ? 0 : entry.get<int64_t>());
    }
    n.attributes[name] = std::move(list);
  } else if (v.is_object() && v.contains("float")) {
    n.attributes[name] = number_of(v["float"], where);
  } else if (v.is_object()) {
    n.scaled.push_back(scaled(name, -1, v.contains("whole"), v, where));
    n.attributes[name] = int64_t{0};
  } else if (name == "shape" && v == "parameter") {
    n.shaped = true;
    n.attributes[name] = std::vector<int64_t>();
  } else if (v.is_string()) {
    n.attributes[name] = v.get<std::string>();
  } else if (v.is_number_integer()) {
    n.attributes[name] = v.get<int64_t>();
  } else {
    n.attributes[name] = number_of(v, where);
  }
}

}  // namespace

const Json& member(const Json& of, const char* name, const std::string& where) {
  auto it = of.is_object() ? of.find(name) : of.end();
  if (!of.is_object() || it == of.end()) fail(kOp, where, " has no \"", name, "\"");
  return *it;
}

double number_of(const Json& given, const std::string& where) {
  const Json& v = given.is_object() ? member(given, "float", where) : given;
  if (v.is_number()) return v.get<double>();
  if (v == "inf") return std::numeric_limits<double>::infinity();
  if (v == "-inf") return -std::numeric_limits<double>::infinity();
  if (v == "nan") return std::numeric_limits<double>::quiet_NaN();
  fail(kOp, where, " is ", v.dump(), ", not a number");
}

const std::string& text_of(const Json& v, const std::string& where) {
  if (!v.is_string()) fail(kOp, where, " is ", v.dump(), ", not text");
  return v.get_ref<const std::string&>();
}

Type type_of(const Json& v, const std::string& where) {
  Type t{DType::f32, {}};
  const std::string& name = text_of(member(v, "dtype", where), where + ".dtype");
  if (!find_dtype(name, &t.dtype)) fail(kOp, where, ": no dtype is called \"", name, "\"");
  const Json& shape = member(v, "shape", where);
  if (!shape.is_array()) fail(kOp, where, ".shape is ", shape.dump(), ", not a list");
  for (const Json& d : shape) {
    if (!d.is_number_integer() || d.get<int64_t>() < 0 || d.get<int64_t>() > int64_t{1} << 40)
      fail(kOp, where, ".shape is ", shape.dump());
    t.shape.push_back(d.get<int64_t>());
  }
  return t;
}

std::vector<Type> types_of(const Json& v, const std::string& where) {
  if (!v.is_array()) return {type_of(v, where)};
  std::vector<Type> out;
  for (const Json& one : v) out.push_back(type_of(one, where + "[" + std::to_string(out.size()) + "]"));
  if (out.empty()) fail(kOp, where, " is an empty list");
  return out;
}

GraphReader::GraphReader(const Json& json, const std::set<std::string>& tensors, Counts counts, std::string where)
    : json_(json), tensors_(tensors), counts_(counts), where_(std::move(where)) {
  const Json& nodes = member(json_, "nodes", where_);
  if (!nodes.is_array()) fail(kOp, where_, ".nodes is no list");
  for (const Json& n : nodes)
    graph_.nodes.push_back(node(n, where_ + ".nodes[" + std::to_string(graph_.nodes.size()) + "]"));
}

Graph GraphReader::model() {
  graph_.loss = place(member(json_, "loss", where_), where_ + ".loss");
  if (auto it = json_.find("correct"); it != json_.end()) graph_.correct = place(*it, where_ + ".correct");
  if (auto it = json_.find("outputs"); it != json_.end())
    for (const Json& p : *it) graph_.outputs.push_back(place(p, where_ + ".outputs"));
  if (auto it = json_.find("updates"); it != json_.end())
    for (auto& [name, p] : it->items()) graph_.updates.emplace_back(name, place(p, where_ + ".updates." + name));
  return std::move(graph_);
}

Place GraphReader::place(const Json& v, const std::string& where) const {
  if (!v.is_array() || v.size() != 2 || !v[0].is_number_unsigned() || !v[1].is_number_unsigned())
    fail(kOp, where, " is ", v.dump(), ", not [node, output]");
  auto node = v[0].get<size_t>();
  auto output = v[1].get<uint64_t>();
  if (node >= graph_.nodes.size() || output > 7)
    fail(kOp, where, " is ", v.dump(), ", which was not computed before it");
  return {node, static_cast<int>(output)};
}

GraphNode GraphReader::node(const Json& v, const std::string& where) const {
  GraphNode n;
  if (auto it = v.find("tensor"); v.is_object() && it != v.end()) {
    n.kind = GraphNode::Kind::tensor;
    n.name = text_of(*it, where + ".tensor");
    if (!tensors_.count(n.name)) fail(kOp, where, ": the file has no tensor \"", n.name, "\"");
    return n;
  }
  n.name = text_of(member(v, "op", where), where + ".op");
  if (n.name == "input" || n.name == "target") {
    const bool input = n.name == "input";
    n.kind = input ? GraphNode::Kind::input : GraphNode::Kind::target;
    if (auto it = v.find("index"); it != v.end()) {
      if (!it->is_number_unsigned()) fail(kOp, where, ".index is ", it->dump(), ", not a whole number");
      n.index = it->get<size_t>();
    }
    if (const size_t there = input ? counts_.inputs : counts_.targets; n.index >= there)
      fail(kOp, where, ": there is no ", n.name, " ", n.index, ", a sample has ", there);
    return n;
  }
  n.maker = find_maker(n.name);
  if (!n.maker) fail(kOp, where, ": no op that a file may hold is called \"", n.name, "\"");
  const Json& inputs = member(v, "in", where);
  if (!inputs.is_array()) fail(kOp, where, ".in is no list");
  for (const Json& p : inputs) n.inputs.push_back(place(p, where + ".in"));
  if (auto it = v.find("with"); it != v.end())
    for (auto& [name, value] : it->items()) attribute(n, name, value, where + ".with." + name);
  n.no_grad = v.value("no_grad", false);
  n.fresh = v.value("fresh", -1);
  return n;
}

}  // namespace ds::models

#include "engine/models/graph_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/autograd/grad.h"
#include "engine/io/safetensors.h"
#include "engine/ops/make.h"

namespace ds::models {
namespace {

using Json = nlohmann::json;

constexpr const char* kOp = "graph";

const Json& member(const Json& of, const char* name, const std::string& where) {
  auto it = of.is_object() ? of.find(name) : of.end();
  if (!of.is_object() || it == of.end()) fail(kOp, where, " has no \"", name, "\"");
  return *it;
}

double number_of(const Json& v, const std::string& where) {
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

// One graph of the file.
class Reader {
 public:
  Reader(const Json& json, const std::map<std::string, Tensor>& tensors, std::string where)
      : json_(json), tensors_(tensors), where_(std::move(where)) {}

  Graph graph() {
    const Json& nodes = member(json_, "nodes", where_);
    if (!nodes.is_array()) fail(kOp, where_, ".nodes is no list");
    for (const Json& n : nodes)
      graph_.nodes.push_back(node(n, where_ + ".nodes[" + std::to_string(graph_.nodes.size()) + "]"));
    graph_.loss = place(member(json_, "loss", where_), where_ + ".loss");
    if (auto it = json_.find("correct"); it != json_.end()) graph_.correct = place(*it, where_ + ".correct");
    if (auto it = json_.find("outputs"); it != json_.end())
      for (const Json& p : *it) graph_.outputs.push_back(place(p, where_ + ".outputs"));
    if (auto it = json_.find("updates"); it != json_.end())
      for (auto& [name, p] : it->items()) graph_.updates.emplace_back(name, place(p, where_ + ".updates." + name));
    return std::move(graph_);
  }

 private:
  Place place(const Json& v, const std::string& where) const {
    if (!v.is_array() || v.size() != 2 || !v[0].is_number_unsigned() || !v[1].is_number_unsigned())
      fail(kOp, where, " is ", v.dump(), ", not [node, output]");
    auto node = v[0].get<size_t>();
    auto output = v[1].get<uint64_t>();
    if (node >= graph_.nodes.size() || output > 7)
      fail(kOp, where, " is ", v.dump(), ", which was not computed before it");
    return {node, static_cast<int>(output)};
  }

  GraphNode node(const Json& v, const std::string& where) const {
    GraphNode n;
    if (auto it = v.find("tensor"); v.is_object() && it != v.end()) {
      n.kind = GraphNode::Kind::tensor;
      n.name = text_of(*it, where + ".tensor");
      if (!tensors_.count(n.name)) fail(kOp, where, ": the file has no tensor \"", n.name, "\"");
      return n;
    }
    n.name = text_of(member(v, "op", where), where + ".op");
    if (n.name == "input" || n.name == "target") {
      n.kind = n.name == "input" ? GraphNode::Kind::input : GraphNode::Kind::target;
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

  static void attribute(GraphNode& n, const std::string& name, const Json& v, const std::string& where) {
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
    } else if (v.is_string()) {
      n.attributes[name] = v.get<std::string>();
    } else if (v.is_number_integer()) {
      n.attributes[name] = v.get<int64_t>();
    } else {
      n.attributes[name] = number_of(v, where);
    }
  }

  // {"whole": [a, b]}: a n + b; {"ratio": [f, a, b, c, d]}: f (a n + b) / (c n + d).
  static Scaled scaled(const std::string& name, int entry, bool whole, const Json& v, const std::string& where) {
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

  const Json& json_;
  const std::map<std::string, Tensor>& tensors_;
  std::string where_;
  Graph graph_;
};

// Out of the file, whose memory goes when it is closed.
Tensor copied(const io::TensorView& v) {
  Shape shape{std::span<const int64_t>(v.shape)};
  auto storage = make_ref<Storage>(Device{}, v.bytes());
  if (v.bytes() > 0) std::memcpy(storage->data(), v.data, v.bytes());
  return Tensor::wrap(std::move(storage), 0, v.dtype, shape);
}

std::vector<GraphTensor> tensors_of(const Json& json, const io::SafetensorsFile& file) {
  std::vector<GraphTensor> out;
  std::map<std::string, bool> known;  // by name: whether it was read
  for (const char* kind : {"parameters", "buffers"}) {
    const Json& list = member(json, kind, kGraphKey);
    if (!list.is_array()) fail(kOp, kind, " is no list");
    for (const Json& entry : list) {
      GraphTensor t;
      t.name = text_of(member(entry, "name", kind), std::string(kind) + ".name");
      const io::TensorView* view = file.find(t.name);
      if (!view) fail(kOp, "the file has no tensor \"", t.name, "\" of its ", kind);
      if (!known.emplace(t.name, true).second) fail(kOp, kind, ": \"", t.name, "\" stands there twice");
      t.value = copied(*view);
      t.trained = entry.value("trained", false);
      t.kept = entry.value("kept", true);
      if (t.trained && !is_floating(t.value.dtype()))
        fail(kOp, "parameter \"", t.name, "\" is ", t.value.type(), ", which cannot be trained");
      out.push_back(std::move(t));
    }
  }
  for (const io::TensorView& v : file.tensors())
    if (!known.count(v.name)) out.push_back({v.name, copied(v)});
  return out;
}

Tensor sample_batch(const Type& sample, int64_t batch) {
  Shape shape{batch};
  for (int64_t d : sample.shape) shape.push_back(d);
  return zeros(shape, sample.dtype);
}

void check_graph(const GraphFile& f, const Graph& g, bool train) {
  std::map<std::string, Tensor> tensors;
  std::vector<Tensor> trained;
  for (const GraphTensor& t : f.tensors) {
    Tensor value = t.value;
    if (t.trained) value = value.detach().set_requires_grad(true), trained.push_back(value);
    tensors.emplace(t.name, value);
  }
  for (int64_t batch : {2, 5}) {
    Replayed r = replay(g, sample_batch(f.input, batch), sample_batch(f.target, batch),
                        [&](const std::string& name) { return tensors.at(name); }, {});
    auto at = [&](const Place& p, const char* what) {
      try {
        return r.at(p);
      } catch (const std::out_of_range&) {
        fail(kOp, what, " is an output that its node does not have");
      }
    };
    Tensor loss = at(*g.loss, "the loss");
    if (loss.numel() != 1 || !is_floating(loss.dtype())) fail(kOp, "the loss is ", loss.type(), ", not one number");
    if (g.correct && at(*g.correct, "\"correct\"").type() != Type{DType::i64, {}})
      fail(kOp, "\"correct\" is ", r.at(*g.correct).type(), ", not int64()");
    for (const Place& p : g.outputs) at(p, "an output");
    for (auto& [name, p] : g.updates) {
      auto it = tensors.find(name);
      auto kept = [&](const GraphTensor& t) { return t.name == name && t.kept && !t.trained; };
      if (std::none_of(f.tensors.begin(), f.tensors.end(), kept))
        fail(kOp, "there is no buffer \"", name, "\" to update");
      if (!(at(p, "an update").type() == it->second.type()))
        fail(kOp, "the new value of \"", name, "\" is ", r.at(p).type(), ", the buffer is ", it->second.type());
    }
    if (train && !trained.empty()) grad(loss, trained);
  }
}

GraphFile read(const std::string& path) {
  io::SafetensorsFile file(path);
  auto it = file.metadata().find(kGraphKey);
  if (it == file.metadata().end()) fail(kOp, "the metadata has no \"", kGraphKey, "\": it is no traced model");
  Json json = Json::parse(it->second);
  const Json& version = member(json, "version", kGraphKey);
  if (version != kGraphVersion) fail(kOp, "is of version ", version.dump(), ", this program reads ", kGraphVersion);
  GraphFile f;
  f.input = type_of(member(json, "input", kGraphKey), "input");
  f.target = type_of(member(json, "target", kGraphKey), "target");
  f.tensors = tensors_of(json, file);
  std::map<std::string, Tensor> tensors;
  for (const GraphTensor& t : f.tensors) tensors.emplace(t.name, t.value);
  f.train = Reader(member(json, "train", kGraphKey), tensors, "train").graph();
  f.eval = Reader(member(json, "eval", kGraphKey), tensors, "eval").graph();
  check_graph(f, f.train, true);
  check_graph(f, f.eval, false);
  return f;
}

}  // namespace

GraphFile read_graph(const std::string& path) {
  try {
    return read(path);
  } catch (const io::IoError& e) {
    throw Error(std::string("[graph] ") + e.what());
  } catch (const Json::exception& e) {
    fail(kOp, path, ": the graph is not what it should be: ", e.what());
  } catch (const Error& e) {
    std::string what = e.what();
    throw Error("[graph] " + path + ": " + (what.starts_with("[graph] ") ? what.substr(8) : what));
  }
}

}  // namespace ds::models

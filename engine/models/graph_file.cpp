#include "engine/models/graph_file.h"

#include <algorithm>
#include <cstring>

#include "engine/autograd/grad.h"
#include "engine/io/safetensors.h"
#include "engine/models/graph_json.h"

namespace ds::models {
namespace {

constexpr const char* kOp = "graph";

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

std::vector<Tensor> sample_batch(const std::vector<Type>& types, int64_t batch) {
  std::vector<Tensor> out;
  for (const Type& t : types) {
    Shape shape{batch};
    for (int64_t d : t.shape) shape.push_back(d);
    out.push_back(zeros(shape, t.dtype));
  }
  return out;
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
    Replayed r = replay(g, {.inputs = sample_batch(f.inputs, batch),
                            .targets = sample_batch(f.targets, batch),
                            .tensor = [&](const std::string& name) { return tensors.at(name); },
                            .draw = {}});
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
      auto kept = [&name = name](const GraphTensor& t) { return t.name == name && t.kept && !t.trained; };
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
  f.inputs = types_of(member(json, "input", kGraphKey), "input");
  f.targets = types_of(member(json, "target", kGraphKey), "target");
  f.tensors = tensors_of(json, file);
  std::set<std::string> tensors;
  for (const GraphTensor& t : f.tensors) tensors.insert(t.name);
  const GraphReader::Counts counts{f.inputs.size(), f.targets.size()};
  f.train = GraphReader(member(json, "train", kGraphKey), tensors, counts, "train").model();
  f.eval = GraphReader(member(json, "eval", kGraphKey), tensors, counts, "eval").model();
  check_graph(f, f.train, true);
  check_graph(f, f.eval, false);
  if (auto optimizer = json.find("optimizer"); optimizer != json.end())
    f.optimizer = read_optimizer(*optimizer, f.tensors);
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

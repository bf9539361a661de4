// Graph files of what a C++ function records, as the Python package writes them of a model: recorded at two batch
// sizes.
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/io/safetensors.h"
#include "engine/lazy/node.h"
#include "engine/models/graph_file.h"

namespace ds {

struct Written {
  Tensor loss, correct;
  std::vector<Tensor> outputs;
  std::vector<std::pair<std::string, Tensor>> updates;
};

struct ToWrite {
  Type input, target;  // of one sample
  std::vector<std::pair<std::string, Tensor>> parameters, frozen, buffers;
  std::function<Written(const Tensor&x, const Tensor&target)> train, eval;
};

class GraphWriter {
 public:
  using Json = nlohmann::json;
  static constexpr int64_t kSmall = 4, kLarge = 5;

  explicit GraphWriter(const ToWrite& what) : what_(what) {
    for (auto* list : {&what.parameters, &what.frozen, &what.buffers})
      for (auto& [name, t] : *list) names_[t.node()] = name;
  }

  Json json() {
    Json j{{"version", models::kGraphVersion}, {"input", type(what_.input)}, {"target", type(what_.target)}};
    j["parameters"] = j["buffers"] = Json::array();
    for (auto& [name, t] : what_.parameters) j["parameters"].push_back({{"name", name}, {"trained", true}});
    for (auto& [name, t] : what_.frozen) j["parameters"].push_back({{"name", name}});
    for (auto& [name, t] : what_.buffers) j["buffers"].push_back({{"name", name}});
    j["train"] = mode(what_.train);
    j["eval"] = mode(what_.eval);
    return j;
  }

  std::vector<io::TensorView> tensors() const {
    std::vector<io::TensorView> out;
    auto add = [&](const std::string& name, const Tensor& t) {
      out.push_back({name, t.dtype(), {t.shape().begin(), t.shape().end()}, t.data()});
    };
    for (auto* list : {&what_.parameters, &what_.frozen, &what_.buffers})
      for (auto& [name, t] : *list) add(name, t);
    for (auto& [name, t] : constants_) add(name, t);
    return out;
  }

  void write(const std::string& path) {
    std::string text = json().dump();
    io::write_safetensors(path, tensors(), {{models::kGraphKey, text}});
  }

 private:
  struct Walked {
    std::vector<Node*> nodes;
    std::unordered_map<Node*, size_t> places;
    Json place(const Tensor& t) const { return {places.at(t.node()), t.output()}; }
  };

  static Json type(const Type& t) {
    return {{"dtype", name_of(t.dtype)}, {"shape", std::vector<int64_t>(t.shape.begin(), t.shape.end())}};
  }

  static void visit(Walked& w, Node* n) {
    if (w.places.count(n)) return;
    for (const Tensor& i : n->inputs) visit(w, i.node());
    w.places[n] = w.nodes.size();
    w.nodes.push_back(n);
  }

  Json mode(const std::function<Written(const Tensor&, const Tensor&)>& f) {
    Walked walked[2];
    Written written[2];
    Tensor samples[2][2];
    for (int k : {0, 1}) {
      int64_t batch = k == 0 ? kSmall : kLarge;
      samples[k][0] = batch_of(what_.input, batch), samples[k][1] = batch_of(what_.target, batch);
      written[k] = f(samples[k][0], samples[k][1]);
      for (const Tensor& t : roots(written[k])) visit(walked[k], t.node());
    }
    if (walked[0].nodes.size() != walked[1].nodes.size()) fail("test", "the graph depends on the batch");
    Json out{{"nodes", Json::array()}, {"loss", walked[0].place(written[0].loss)}};
    for (size_t i = 0; i < walked[0].nodes.size(); ++i)
      out["nodes"].push_back(node(walked[0], *walked[0].nodes[i], *walked[1].nodes[i], samples[0]));
    if (written[0].correct) out["correct"] = walked[0].place(written[0].correct);
    for (const Tensor& t : written[0].outputs) out["outputs"].push_back(walked[0].place(t));
    for (auto& [name, t] : written[0].updates) out["updates"][name] = walked[0].place(t);
    return out;
  }

  static std::vector<Tensor> roots(const Written& w) {
    std::vector<Tensor> out{w.loss};
    if (w.correct) out.push_back(w.correct);
    out.insert(out.end(), w.outputs.begin(), w.outputs.end());
    for (auto& [name, t] : w.updates) out.push_back(t);
    return out;
  }

  static Tensor batch_of(const Type& sample, int64_t batch) {
    Shape shape{batch};
    for (int64_t d : sample.shape) shape.push_back(d);
    return contiguous(zeros(shape, sample.dtype)).eval().detach();
  }

  Json node(const Walked& w, const Node& small, const Node& large, const Tensor (&samples)[2]) {
    if (&small == samples[0].node()) return {{"op", "input"}};
    if (&small == samples[1].node()) return {{"op", "target"}};
    if (auto it = names_.find(&small); it != names_.end()) return {{"tensor", it->second}};
    if (!small.op || (small.evaluated && small.inputs.empty() && small.op->info().category != Category::constant)) {
      std::string name = "constant:" + std::to_string(constants_.size());
      constants_.emplace_back(name, contiguous(Tensor(Ref<Node>(const_cast<Node*>(&small)), 0)).eval().detach());
      names_[&small] = name;
      return {{"tensor", name}};
    }
    Json out{{"op", small.op->info().name}, {"in", Json::array()}};
    bool passes = false;
    for (const Tensor& t : small.inputs) out["in"].push_back(w.place(t)), passes |= t.requires_grad();
    if (passes && !small.requires_grad) out["no_grad"] = true;
    if (small.op->info().category == Category::random) out["fresh"] = streams_++;
    Attributes a = small.op->attributes(), b = large.op->attributes();
    for (size_t i = 0; i < a.size(); ++i) out["with"][a[i].first] = attribute(a[i].second, b[i].second);
    return out;
  }

  static Json whole(int64_t a, int64_t b) { return a == b ? Json(a) : Json{{"whole", {b - a, a - (b - a) * kSmall}}}; }

  static Json attribute(const Attribute& a, const Attribute& b) {
    if (const auto* list = std::get_if<std::vector<int64_t>>(&a)) {
      Json out = Json::array();
      for (size_t i = 0; i < list->size(); ++i) out.push_back(whole((*list)[i], std::get<std::vector<int64_t>>(b)[i]));
      return out;
    }
    if (const auto* i = std::get_if<int64_t>(&a)) return whole(*i, std::get<int64_t>(b));
    if (const auto* t = std::get_if<DType>(&a)) return name_of(*t);
    if (const auto* s = std::get_if<std::string>(&a)) return *s;
    double v = std::get<double>(a);
    if (double other = std::get<double>(b); v != other && v == v)
      return {{"ratio", {v * kSmall, 0.0, 1.0, 1.0, 0.0}}};  // a multiple of one over the batch
    if (std::isfinite(v)) return {{"float", v}};
    return {{"float", v != v ? "nan" : v > 0 ? "inf" : "-inf"}};
  }

  const ToWrite& what_;
  std::map<const Node*, std::string> names_;
  std::vector<std::pair<std::string, Tensor>> constants_;
  int streams_ = 0;
};

}  // namespace ds

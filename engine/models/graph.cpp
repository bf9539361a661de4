#include "engine/models/graph.h"

#include <cmath>

#include "engine/data/philox.h"

namespace ds::models {
namespace {

double value_of(const Scaled& s, double n) { return s.factor * ((s.a * n + s.b) / (s.c * n + s.d)); }

void resolve(const Scaled& s, int64_t batch, Given::Map& attributes) {
  double value = value_of(s, static_cast<double>(batch));
  Attribute& attribute = attributes[s.attribute];
  if (!s.whole) {
    attribute = value;
    return;
  }
  if (!(std::abs(value) < 0x1p53))
    fail("graph", "attribute \"", s.attribute, "\" is ", value, " for a batch of ", batch);
  auto whole = static_cast<int64_t>(value);
  if (s.entry < 0)
    attribute = whole;
  else
    std::get<std::vector<int64_t>>(attribute)[s.entry] = whole;
}

// Two streams of one step, or of two, share no number but by chance of 2^-64.
uint64_t stream_of(const Draw& draw, int stream) {
  uint64_t key = data::splitmix64(draw.seed);
  key = data::splitmix64(key ^ static_cast<uint64_t>(draw.step));
  key = data::splitmix64(key ^ static_cast<uint64_t>(draw.part));
  return data::splitmix64(key ^ static_cast<uint64_t>(stream));
}

std::vector<Tensor> run(const GraphNode& n, Tensors inputs, int64_t batch, const Feed& feed) {
  std::optional<NoGrad> no_grad;
  if (n.no_grad) no_grad.emplace();
  if (n.scaled.empty() && n.fresh < 0 && !n.shaped)
    return n.maker->append(n.attributes, std::move(inputs), feed.device);
  Given::Map attributes = n.attributes;
  for (const Scaled& s : n.scaled) resolve(s, batch, attributes);
  if (n.shaped) attributes["shape"] = std::vector<int64_t>(feed.parameter.begin(), feed.parameter.end());
  if (n.fresh >= 0) {
    attributes["seed"] = static_cast<int64_t>(stream_of(feed.draw, n.fresh));
    attributes["offset"] = int64_t{0};
  }
  return n.maker->append(attributes, std::move(inputs), feed.device);
}

}  // namespace

Replayed replay(const Graph& graph, const Feed& feed) {
  Replayed r;
  int64_t batch = feed.inputs.empty() ? 0 : feed.inputs[0].size(0);
  r.values_.reserve(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& n = graph.nodes[i];
    if (n.kind == GraphNode::Kind::input) {
      r.values_.push_back({feed.inputs.at(n.index)});
    } else if (n.kind == GraphNode::Kind::target) {
      r.values_.push_back({feed.targets.at(n.index)});
    } else if (n.kind == GraphNode::Kind::tensor) {
      r.values_.push_back({feed.tensor(n.name)});
    } else {
      try {
        Tensors inputs;
        for (const Place& p : n.inputs) inputs.push_back(r.at(p));
        r.values_.push_back(run(n, std::move(inputs), batch, feed));
        for (const Tensor& t : r.values_.back()) check_size(n.name.c_str(), t.shape());
      } catch (const Error& e) {
        std::string with = batch > 0 ? ", with a batch of " + std::to_string(batch) : "";
        fail("graph", "node ", i, with, ": ", e.what());
      } catch (const std::out_of_range&) {
        fail("graph", "node ", i, ", ", n.name, ": an input is an output that its node does not have");
      }
    }
  }
  return r;
}

}  // namespace ds::models

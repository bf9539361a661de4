#include "engine/models/graph_optimizer.h"

#include <algorithm>

namespace ds::models {
namespace {

class FromGraph final : public optim::Optimizer {
 public:
  FromGraph(std::vector<nn::NamedParameter> parameters, GraphOptimizer graph, std::vector<int> updates, uint64_t seed)
      : Optimizer(std::move(parameters)), graph_(std::move(graph)), updates_(std::move(updates)), seed_(seed) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& p = *parameters_[i].parameter;
      for (const GraphState& s : update_of(i).states) {
        Kept& kept = kept_[s.name];
        kept.of.push_back(i);
        Tensor initial = full(s.like_parameter ? p.shape() : s.type.shape, s.value, s.type.dtype, p.device());
        kept.tensors.push_back(contiguous(initial));
      }
    }
  }

  std::vector<optim::States> states() override {
    std::vector<optim::States> out;
    for (auto& [name, kept] : kept_) out.push_back({name, &kept.tensors, kept.of});
    return out;
  }

 private:
  struct Kept {
    std::vector<Tensor> tensors;
    std::vector<size_t> of;  // which of the parameters, in order
  };

  const GraphUpdate& update_of(size_t i) const { return graph_.updates[updates_[i]]; }

  Tensor& state(const std::string& name, size_t i) {
    Kept& kept = kept_.at(name);
    return kept.tensors[std::lower_bound(kept.of.begin(), kept.of.end(), i) - kept.of.begin()];
  }

  Tensor update(size_t i, const Tensor& p, const Tensor& grad, double lr) override {
    const GraphUpdate& u = update_of(i);
    auto number = [&](double value) { return Tensor::from<double>({value}, {}, p.device()); };
    std::map<std::string, Tensor> given = u.constants;
    // A copy, which the new parameter waits for: it may take the gradient's memory, and nobody reads that afterwards.
    given["parameter"] = p, given["gradient"] = grad * 1.0;
    given["lr"] = number(lr * u.lr), given["step"] = number(static_cast<double>(steps_ - 1));
    for (const GraphState& s : u.states) given["state:" + s.name] = std::move(state(s.name, i));
    Feed feed;
    feed.tensor = [&](const std::string& name) { return given.at(name); };
    feed.draw = {seed_, steps_, -1 - static_cast<int64_t>(i)};  // parts of a batch count from 0
    feed.parameter = p.shape(), feed.device = p.device();
    Replayed r = replay(u.graph, feed);
    for (const GraphState& s : u.states) state(s.name, i) = of_its_own(u.graph, r, s.next);
    return of_its_own(u.graph, r, u.value);
  }

  // Not the parameter's memory, which becomes another's, nor one that a view or a constant shares or repeats.
  static Tensor of_its_own(const Graph& graph, const Replayed& r, const Place& place) {
    const GraphNode& n = graph.nodes[place.node];
    const Tensor& t = r.at(place);
    const bool op = n.kind == GraphNode::Kind::op;
    const Category category = op ? n.maker->category : Category::view;
    const bool computed = is_elementwise(category) || (category == Category::compute && n.name != "contiguous");
    if (computed || (!op && n.name != "parameter")) return t;
    return is_floating(t.dtype()) ? t * 1.0 : contiguous(t);
  }

  std::vector<Tensor> state_values() const override {
    std::vector<Tensor> out;
    for (const auto& [name, kept] : kept_) out.insert(out.end(), kept.tensors.begin(), kept.tensors.end());
    return out;
  }

  const GraphOptimizer graph_;
  const std::vector<int> updates_;
  const uint64_t seed_;
  std::map<std::string, Kept> kept_;  // by the state's name
};

}  // namespace

std::vector<int> updates_of(const GraphOptimizer& optimizer, const std::vector<nn::NamedParameter>& parameters) {
  std::map<std::string, int> index;
  for (size_t u = 0; u < optimizer.updates.size(); ++u)
    for (const std::string& name : optimizer.updates[u].parameters) index[name] = static_cast<int>(u);
  std::vector<int> out;
  for (const auto& p : parameters) out.push_back(index.at(p.name));
  return out;
}

std::unique_ptr<optim::Optimizer> graph_optimizer(std::vector<nn::NamedParameter> parameters, GraphOptimizer optimizer,
                                                  std::vector<int> updates, uint64_t seed) {
  return std::make_unique<FromGraph>(std::move(parameters), std::move(optimizer), std::move(updates), seed);
}

}  // namespace ds::models

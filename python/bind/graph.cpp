#include "python/bind/graph.h"

#include <algorithm>
#include <unordered_map>

#include "engine/lazy/executor.h"
#include "engine/lazy/node.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

nb::dict to_dict(const Attributes& attributes) {
  nb::dict out;
  for (const auto& [name, value] : attributes) out[name] = std::visit([](const auto& v) { return nb::cast(v); }, value);
  return out;
}

nb::list types_of(const Node& node) {
  nb::list types;
  for (const Node::Output& o : node.outputs) types.append(nb::make_tuple(o.type.dtype, o.type.shape));
  return types;
}

// The nodes behind some outputs, each after its inputs.
class Walk {
 public:
  explicit Walk(const std::vector<Tensor>& known) {
    for (size_t i = 0; i < known.size(); ++i) known_.emplace(known[i].node(), i);
  }

  void visit(const Tensor& root) {
    std::vector<std::pair<Ref<Node>, size_t>> stack{{root.ref(), 0}};
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (!places_.count(node.get()) && !is_leaf(*node) && next < node->inputs.size()) {
        Ref<Node> input = node->inputs[next++].ref();
        stack.emplace_back(std::move(input), 0);
        continue;
      }
      Ref<Node> done = node;
      stack.pop_back();
      if (places_.emplace(done.get(), places_.size()).second) nodes_.append(describe(done));
    }
  }

  nb::tuple place(const Tensor& t) const { return nb::make_tuple(places_.at(t.node()), t.output()); }
  nb::list nodes() const { return nodes_; }

 private:
  // A value whose making is not known, or not asked for.
  bool is_leaf(const Node& n) const {
    if (known_.count(&n) || !n.op) return true;
    return n.evaluated && n.inputs.empty() && n.op->info().category != Category::constant;
  }

  // Inputs would have gradients, but none passes.
  static bool stops(const Node& n) {
    auto passes = [](const Tensor& t) { return t.requires_grad(); };
    auto inexact = [](const Node::Output& o) { return is_inexact(o.type.dtype); };
    return !n.requires_grad && std::any_of(n.inputs.begin(), n.inputs.end(), passes) &&
           std::any_of(n.outputs.begin(), n.outputs.end(), inexact);
  }

  nb::tuple describe(const Ref<Node>& n) const {
    auto found = known_.find(n.get());
    if (found != known_.end()) return nb::make_tuple("", found->second, types_of(*n), nb::none(), false);
    if (is_leaf(*n)) {
      nb::list values;
      for (size_t i = 0; i < n->outputs.size(); ++i) values.append(Tensor(n, static_cast<int>(i)));
      return nb::make_tuple("", -1, types_of(*n), values, false);
    }
    nb::list inputs;
    for (const Tensor& i : n->inputs) inputs.append(place(i));
    return nb::make_tuple(n->op->info().name, inputs, types_of(*n), to_dict(n->op->attributes()), stops(*n));
  }

  std::unordered_map<const Node*, size_t> known_, places_;
  nb::list nodes_;
};

nb::tuple graph(std::vector<Tensor> outputs, std::vector<Tensor> known) {
  Walk walk(known);
  for (const Tensor& t : outputs) walk.visit(t);
  nb::list places;
  for (const Tensor& t : outputs) places.append(walk.place(t));
  return nb::make_tuple(walk.nodes(), places);
}

}  // namespace

void bind_graph(nb::module_& m) {
  nb::list elementwise;
  for (const OpInfo& row : op_table())
    if (is_elementwise(row.category)) elementwise.append(row.name);
  m.attr("ELEMENTWISE") = nb::tuple(elementwise);  // names of graph()
  m.def("graph", graph, nb::arg("outputs"), nb::arg("known"),
        "(nodes, outputs): each node, after its inputs, is (op, [(node, output), ...], [(dtype, shape), ...], "
        "attributes, whether gradients stop there); a leaf is ('', its index in `known`, types, None, False) or "
        "('', -1, types, its values, False).");
  m.def(
      "watch",
      [](std::optional<std::vector<Tensor>> tensors) { watch(tensors ? std::move(*tensors) : std::vector<Tensor>()); },
      nb::arg("tensors").none(),
      "Until it is called again: computing what depends on one of these, on this thread, is an Error.");
}

}  // namespace ds::py

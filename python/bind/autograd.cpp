#include "python/bind/autograd.h"

#include <nanobind/stl/function.h>

#include <unordered_map>
#include <unordered_set>

#include "engine/autograd/custom.h"
#include "engine/autograd/grad.h"
#include "engine/lazy/trace.h"
#include "engine/ops/functions.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

// Whose `grad` a node's gradient goes to: leaves, and results that retain_grad() was called on.
std::unordered_multimap<Node*, TensorObject*>& gatherers() {
  static auto* map = new std::unordered_multimap<Node*, TensorObject*>;
  return *map;
}

void remember(TensorObject* o) {
  gatherers().emplace(o->tensor.node(), o);
  o->gathers = true;
}

// Objects that some gradient of `output` goes to.
std::vector<TensorObject*> reached(const Tensor& output) {
  std::vector<TensorObject*> found;
  std::vector<Node*> stack{output.node()};
  uint64_t mark = new_mark();
  output.node()->mark = mark;
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    auto [begin, end] = gatherers().equal_range(n);
    for (auto it = begin; it != end; ++it) found.push_back(it->second);
    for (const Tensor& input : n->inputs)
      if (input.requires_grad() && std::exchange(input.node()->mark, mark) != mark) stack.push_back(input.node());
  }
  return found;
}

// A leaf's hooks see the gradient first, and may give another.
Tensor through_hooks(TensorObject* o, Tensor g) {
  if (!o->extra || !o->tensor.node() || o->tensor.node()->op) return g;
  auto extra = nb::borrow<nb::dict>(o->extra);
  if (!extra.contains("hooks")) return g;
  for (nb::handle hook : nb::list(nb::object(extra["hooks"]).attr("values")())) {
    nb::object changed = hook(nb::steal(wrap(g)));
    if (!changed.is_none()) g = unwrap(changed.ptr());
  }
  return g;
}

void gather(TensorObject* o, Tensor g) {
  g = through_hooks(o, std::move(g));
  if (!o->grad) {
    o->grad = wrap(std::move(g));
    return;
  }
  TensorObject* old = object_of(o->grad);
  Tensor sum = unwrap(old) + g;
  replace(old, std::move(sum));
  ++old->version;
}

void backward(nb::handle self, std::optional<Tensor> gradient, bool retain_graph, bool create_graph,
              std::optional<std::vector<nb::object>> inputs) {
  Tensor output = unwrap(self.ptr());
  std::vector<TensorObject*> objects;
  if (inputs) {
    for (nb::object& i : *inputs) unwrap(i.ptr()), objects.push_back(object_of(i.ptr()));
  } else {
    objects = reached(output);
  }
  std::vector<Tensor> of;
  for (TensorObject* o : objects) of.push_back(o->tensor);
  GradOptions options;
  if (gradient) options.grad_output = cast(*gradient, output.dtype());
  options.retain_graph = retain_graph, options.create_graph = create_graph, options.allow_unused = true;
  std::vector<Tensor> grads = grad(output, of, options);
  of.clear();
  output = {};
  for (size_t i = 0; i < objects.size(); ++i)
    if (grads[i]) gather(objects[i], std::move(grads[i]));
}

// One engine's gradient serves many outputs: the sum of each times its seed.
std::vector<Tensor> grad_of(std::vector<Tensor> outputs, std::vector<Tensor> inputs,
                            std::vector<std::optional<Tensor>> seeds, bool retain_graph, bool create_graph,
                            bool allow_unused) {
  GradOptions o;
  o.retain_graph = retain_graph, o.create_graph = create_graph, o.allow_unused = allow_unused;
  if (outputs.size() == 1) {
    if (!seeds.empty() && seeds[0]) o.grad_output = cast(*seeds[0], outputs[0].dtype());
    return grad(outputs[0], inputs, o);
  }
  Tensor total;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].requires_grad()) continue;
    bool seeded = i < seeds.size() && seeds[i];
    if (!seeded && outputs[i].numel() != 1)
      fail("grad", "output ", i, ", ", outputs[i].type(), ", needs a grad_output");
    Tensor term =
        !seeded ? sum(outputs[i])
                : sum(is_complex(outputs[i].dtype()) ? real(outputs[i] * conj(*seeds[i])) : outputs[i] * *seeds[i]);
    if (total && total.dtype() != term.dtype()) term = cast(term, total.dtype());
    total = total ? total + term : term;
  }
  if (!total) fail("grad", "no output depends on anything that requires a gradient");
  return grad(total, inputs, o);
}

// The callback may be dropped by whatever thread computes.
std::shared_ptr<nb::callable> shared_callback(nb::callable f) {
  return {new nb::callable(std::move(f)), [](nb::callable* p) {
            if (!Py_IsInitialized()) return;
            nb::gil_scoped_acquire gil;
            delete p;
          }};
}

std::vector<Tensor> custom(std::vector<Tensor> outputs, std::vector<Tensor> inputs, nb::callable vjp,
                           std::string name) {
  auto callback = shared_callback(std::move(vjp));
  size_t count = inputs.size();
  return custom_gradient(
      std::move(outputs), std::move(inputs),
      [callback, count](std::span<const Tensor> grads) {
        nb::gil_scoped_acquire gil;
        nb::list args;
        for (const Tensor& g : grads) args.append(g ? nb::steal(wrap(g)) : nb::none());
        nb::object out = (*callback)(*nb::tuple(args));
        if (!nb::isinstance<nb::tuple>(out) && !nb::isinstance<nb::list>(out)) out = nb::make_tuple(out);
        if (nb::len(out) != count)
          fail("backward", "the function gave ", nb::len(out), " gradients for ", count, " inputs");
        std::vector<Tensor> result;
        for (nb::handle g : out) result.push_back(g.is_none() ? Tensor() : unwrap(g.ptr()));
        return result;
      },
      std::move(name));
}

}  // namespace

void forget_leaf(TensorObject* o) {
  if (!std::exchange(o->gathers, false)) return;
  auto [begin, end] = gatherers().equal_range(o->tensor.node());
  for (auto it = begin; it != end; ++it)
    if (it->second == o) {
      gatherers().erase(it);
      return;
    }
}

void replace(TensorObject* o, Tensor t) {
  bool gathers = o->gathers && t.requires_grad();
  forget_leaf(o);
  o->tensor = std::move(t);
  if (gathers) remember(o);
}

void require_grad(TensorObject* o, bool on) {
  Tensor t = unwrap(o);
  if (t.requires_grad() == on) return;
  if (on && !is_floating(t.dtype()) && !is_complex(t.dtype()))
    fail("requires_grad", "only floating and complex tensors have gradients, got ", t.type());
  if (!on && t.node()->op) fail("requires_grad", "only a leaf's can be switched off; use detach()");
  forget_leaf(o);
  o->tensor = t.detach().set_requires_grad(on);
  if (on) remember(o);
}

// What outputs were made from that has a gradient and was made from nothing.
std::vector<Tensor> leaves(std::vector<Tensor> outputs) {
  std::vector<Tensor> found, stack = std::move(outputs);
  std::unordered_set<Node*> seen;
  while (!stack.empty()) {
    Tensor t = std::move(stack.back());
    stack.pop_back();
    if (!t.requires_grad() || !seen.insert(t.node()).second) continue;
    if (!t.node()->op) found.push_back(t);
    for (const Tensor& input : t.node()->inputs) stack.push_back(input);
  }
  return found;
}

void bind_autograd(nb::module_& m) {
  m.def("backward", backward, nb::arg("self"), nb::arg("gradient").none(), nb::arg("retain_graph"),
        nb::arg("create_graph"), nb::arg("inputs").none());
  m.def("grad", grad_of);
  m.def("custom", custom, nb::arg("outputs"), nb::arg("inputs"), nb::arg("vjp"), nb::arg("name") = "custom_gradient");
  m.def("leaves", leaves, "The leaves that require a gradient and that the outputs depend on.");
  m.def(
      "node_id", [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.node()); },
      "The same for all objects of one value, while one of them lives.");
  m.def("retain_grad", [](nb::handle self) {
    TensorObject* o = object_of(self.ptr());
    if (!unwrap(o).requires_grad()) fail("retain_grad", "the tensor does not require a gradient");
    if (!o->gathers) remember(o);
  });
  m.def(
      "set_grad_enabled", [](bool on) { return !NoGrad::set(!on); }, "Gives what it was before.");
  m.def("is_grad_enabled", [] { return !NoGrad::active(); });
  m.def("detach", [](const Tensor& t) { return stop_gradient(t); });
  m.def(
      "graph_inputs",
      [](const Tensor& t) {
        std::vector<Tensor> in(t.node()->inputs.begin(), t.node()->inputs.end());
        return std::pair(std::string(t.node()->op ? t.node()->op->info().name : ""), in);
      },
      "The op that made it, and what it was made from while that is known.");
}

}  // namespace ds::py

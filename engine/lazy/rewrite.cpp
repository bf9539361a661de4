#include "engine/lazy/rewrite.h"

#include <algorithm>
#include <utility>

#include "engine/lazy/passes.h"
#include "engine/ops/conv.h"
#include "engine/ops/create.h"
#include "engine/ops/matmul.h"
#include "engine/ops/view.h"

namespace ds {

void Rewriter::check_free(const Node& n) const {
  if (n.evaluated || n.requires_grad) fail("rewrite", n.op->info().name, " is not to be changed");
}

void Rewriter::replace(Node& n, std::unique_ptr<const Op> op, Tensors inputs) {
  check_free(n);
  Types types;
  for (const Tensor& t : inputs) types.push_back(t.type());
  types = op->infer(types);
  bool same = types.size() == n.outputs.size();
  for (size_t i = 0; same && i < types.size(); ++i) same = types[i] == n.outputs[i].type;
  if (!same) fail("rewrite", n.op->info().name, " became ", op->info().name, " of another type");
  for (const Tensor& t : inputs) ++t.node()->uses;
  for (Tensor& t : n.inputs) {
    --t.node()->uses;
    dropped_.push_back(std::move(t));
  }
  n.op = std::move(op);
  n.inputs = std::move(inputs);
  changed_ = true;
}

void Rewriter::redirect(Node& n, size_t i, const Tensor& from) {
  check_free(n);
  if (!(n.inputs[i].type() == from.type()))
    fail("rewrite", n.op->info().name, " read ", n.inputs[i].type(), ", now ", from.type());
  ++from.node()->uses;
  --n.inputs[i].node()->uses;
  dropped_.push_back(std::exchange(n.inputs[i], from));
  changed_ = true;
}

namespace passes {
namespace {

bool is(const Node& n, OpKind kind) { return n.op && n.op->kind() == kind; }
bool same(const Tensor& a, const Tensor& b) { return a.node() == b.node() && a.output() == b.output(); }

bool is_zero(const Tensor& t) {
  const Node* n = t.node();
  while (is(*n, OpKind::Broadcast) && !n->evaluated) n = n->inputs[0].node();
  return is(*n, OpKind::Full) && static_cast<const Full&>(*n->op).value() == 0;
}

// The dimensions of a permutation that is still to be run; null for any other node.
const std::vector<int64_t>* pending_permute(const Node& n) {
  return !n.evaluated && is(n, OpKind::Permute) ? &static_cast<const Permute&>(*n.op).dims() : nullptr;
}

// Transposed, at that place in the program.
Tensor swap_last(const Tensor& t, uint64_t sequence) {
  const auto* dims = pending_permute(*t.node());
  if (dims && swaps_last(*dims)) return t.node()->inputs[0];
  Tensor y = transpose(t, -2, -1);
  y.node()->sequence = sequence;
  return y;
}

}  // namespace

void mask_pool_grad(Rewriter& r) {
  for (Node* n : r.trace().nodes) {
    if (!is(*n, OpKind::Where) || n->requires_grad) continue;
    const Node &condition = *n->inputs[0].node(), &pool = *n->inputs[1].node();
    if (!is(pool, OpKind::MaxPool2dGrad) || !r.hidden(pool)) continue;
    if (!is(condition, OpKind::Less) || condition.evaluated || !is_zero(condition.inputs[0])) continue;
    if (!is_zero(n->inputs[2]) || !same(condition.inputs[1], pool.inputs[1])) continue;
    const auto& op = static_cast<const MaxPool2dGrad&>(*pool.op);
    r.replace(*n, std::make_unique<MaxPool2dGrad>(op.options(), true), pool.inputs);
  }
}

void turn_matmul(Rewriter& r) {
  for (Node* n : r.trace().nodes) {
    const auto* dims = pending_permute(*n);
    if (!dims || n->requires_grad || !swaps_last(*dims)) continue;
    const Node& product = *n->inputs[0].node();
    if (!is(product, OpKind::MatmulOp) || !r.hidden(product)) continue;
    Tensor a = swap_last(product.inputs[1], product.sequence), b = swap_last(product.inputs[0], product.sequence);
    r.replace(*n, std::make_unique<MatmulOp>(), {a, b});
  }
}

void cancel_permutes(Rewriter& r) {
  std::vector<std::vector<uint32_t>> users;
  for (Node* n : r.trace().nodes) {
    const auto* dims = pending_permute(*n);
    const auto* before = dims ? pending_permute(*n->inputs[0].node()) : nullptr;
    if (!before || n->requires_grad) continue;
    std::vector<int64_t> order = *dims;
    for (int64_t& d : order) d = (*before)[d];
    Tensor x = n->inputs[0].node()->inputs[0];
    if (!std::is_sorted(order.begin(), order.end())) {
      r.replace(*n, std::make_unique<Permute>(std::move(order)), {x});
      continue;
    }
    if (users.empty()) users = users_of(r.trace());
    for (uint32_t u : users[n->index]) {
      Node& user = *r.trace().nodes[u];
      for (size_t i = 0; i < user.inputs.size() && !user.requires_grad; ++i)
        if (user.inputs[i].node() == n) r.redirect(user, i, x);
    }
  }
}

}  // namespace passes
}  // namespace ds

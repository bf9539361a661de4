#include "engine/lazy/tensor.h"

#include <atomic>
#include <cstring>

#include "engine/lazy/executor.h"
#include "engine/lazy/node.h"

namespace ds {
namespace {
thread_local bool no_grad = false;
std::atomic<uint64_t> next_sequence{1};
}  // namespace

std::ostream& operator<<(std::ostream& out, const Type& t) { return out << name_of(t.dtype) << t.shape; }

bool Value::contiguous(const Shape& shape) const {
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

Node::~Node() {
  SmallVector<Tensor, 8> last;  // what nobody else holds, and has inputs of its own
  auto release = [&](Tensors& list) {
    for (Tensor& t : list) {
      bool goes = t && t.node()->use_count() == 1 && !t.node()->inputs.empty();
      goes ? last.push_back(std::move(t)) : void(t = {});
    }
  };
  release(inputs);
  while (!last.empty()) {
    Tensor t = std::move(last.back());
    last.pop_back();
    Tensors below = std::move(t.node()->inputs);
    release(below);
  }
}

void Node::detach() {
  if (requires_grad) return;
  inputs.clear();
}

Tensor::Tensor() = default;
Tensor::Tensor(Ref<Node> node, int output) : node_(std::move(node)), output_(output) {}
Tensor::Tensor(const Tensor&) = default;
Tensor::Tensor(Tensor&&) noexcept = default;
Tensor& Tensor::operator=(const Tensor&) = default;
Tensor& Tensor::operator=(Tensor&&) noexcept = default;
Tensor::~Tensor() = default;

Tensor Tensor::from_bytes(const void* data, size_t count, DType dtype, const Shape& shape, Device device) {
  if (static_cast<int64_t>(count) != shape.numel()) fail("tensor", count, " values were given for the shape ", shape);
  auto storage = make_ref<Storage>(device, count * size_of(dtype));
  backend(device).from_host(storage->data(), data, count * size_of(dtype));
  return wrap(std::move(storage), 0, dtype, shape);
}

Tensor Tensor::wrap(Ref<Storage> storage, int64_t offset, DType dtype, const Shape& shape) {
  if ((offset + shape.numel()) * size_of(dtype) > storage->bytes())
    fail("tensor", name_of(dtype), shape, " at offset ", offset, " does not fit into ", storage->bytes(), " bytes");
  auto node = make_ref<Node>();
  node->device = storage->device();
  node->evaluated = true;
  node->outputs.push_back({{dtype, shape}, {std::move(storage), offset, contiguous_strides(shape)}});
  return {std::move(node), 0};
}

const Type& Tensor::type() const {
  if (!node_) fail("tensor", "an empty handle has no type");
  return node_->outputs[output_].type;
}

int64_t Tensor::size(int64_t dim) const { return shape()[normalize_dim("size", dim, rank())]; }
Device Tensor::device() const {
  if (!node_) fail("tensor", "an empty handle has no device");
  return node_->device;
}
bool Tensor::requires_grad() const { return node_ && node_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool on) {
  if (!node_) fail("requires_grad", "the tensor is an empty handle");
  if (node_->op) fail("requires_grad", "the tensor is the result of ", node_->op->info().name, "; detach() it first");
  if (on && !is_inexact(dtype()))
    fail("requires_grad", "only floating and complex tensors have gradients, got ", type());
  node_->requires_grad = on;
  return *this;
}

Tensor Tensor::detach() const {
  const Value& v = value();
  auto node = make_ref<Node>();
  node->device = device();
  node->evaluated = true;
  node->outputs.push_back({type(), v});
  return {std::move(node), 0};
}

bool Tensor::evaluated() const { return node_ && node_->evaluated; }

const Tensor& Tensor::eval() const {
  if (!evaluated() || node_->pending) ds::eval({this, 1});
  return *this;
}

const Value& Tensor::value() const { return eval().node_->outputs[output_].value; }

const void* Tensor::data() const {
  const Value& v = value();
  if (!v.contiguous(shape())) fail("data", type(), " has strides ", v.strides, "; call contiguous() first");
  return v.data(dtype());
}

void Tensor::copy_to_host(void* out) const {
  const Value& v = value();
  size_t bytes = type().bytes();
  if (bytes == 0) return;
  if (v.contiguous(shape())) return backend(device()).to_host(out, v.data(dtype()), bytes);
  Value packed = make_contiguous(v, type(), device());
  backend(device()).to_host(out, packed.data(dtype()), bytes);
}

NoGrad::NoGrad() : before_(no_grad) { no_grad = true; }
NoGrad::~NoGrad() { no_grad = before_; }
bool NoGrad::active() { return no_grad; }
bool NoGrad::set(bool on) { return std::exchange(no_grad, on); }

namespace {

Ref<Node> new_node(std::unique_ptr<const Op> op, Tensors inputs, Device device) {
  const char* name = op->info().name;
  SmallVector<Type, 3> types;
  types.reserve(inputs.size());
  bool grad = false, spent = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) fail(name, "input ", i, " is an empty handle");
    const Node& input = *inputs[i].node();
    types.push_back(inputs[i].type());
    grad |= input.requires_grad;
    spent |= input.spent;
    if (i == 0) device = input.device;
    if (!(input.device == device)) fail(name, "inputs are on different devices: ", device, " and ", input.device);
  }
  auto node = make_ref<Node>();
  node->sequence = next_sequence.fetch_add(1, std::memory_order_relaxed);
  bool inexact = false;  // indices and truths have no gradient: they must not hold on to what they came from
  for (Type& t : op->infer(types)) {
    inexact |= is_inexact(t.dtype);
    node->outputs.push_back({std::move(t), {}});
  }
  node->op = std::move(op);
  node->inputs = std::move(inputs);
  node->device = device;
  node->requires_grad = grad && inexact && !no_grad;
  node->spent = spent && inexact && !no_grad;
  return node;
}

}  // namespace

std::vector<Tensor> append(std::unique_ptr<const Op> op, Tensors inputs, Device device) {
  Ref<Node> node = new_node(std::move(op), std::move(inputs), device);
  std::vector<Tensor> out;
  for (size_t i = 0; i < node->outputs.size(); ++i) out.emplace_back(node, static_cast<int>(i));
  return out;
}

Tensor append1(std::unique_ptr<const Op> op, Tensors inputs, Device device) {
  return {new_node(std::move(op), std::move(inputs), device), 0};
}

}  // namespace ds

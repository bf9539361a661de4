#include "engine/ops/create.h"

#include <array>
#include <bit>
#include <cmath>

#include "engine/lazy/node.h"

namespace ds {
namespace {

// Elements on the host that constants see: those of each thread that were asked for last.
const Ref<Storage>& element(double value, DType t) {
  struct Entry {
    uint64_t bits;
    DType dtype;
    Ref<Storage> storage;
  };
  static thread_local std::array<Entry, 64> entries{};
  auto bits = std::bit_cast<uint64_t>(value);
  Entry& e = entries[((bits >> 32 ^ bits ^ static_cast<uint64_t>(t)) * 0x9e3779b97f4a7c15u) >> 58];
  if (e.storage && e.bits == bits && e.dtype == t) return e.storage;
  e = {bits, t, make_ref<Storage>(Device{}, size_of(t))};
  Backend& b = backend(Device{});
  b.kernels().fill(b.context(), t, e.storage->data(), 1, value);
  return e.storage;
}

}  // namespace

Value Full::value_of(Ref<Storage> element) const {
  Value v{std::move(element), 0, type_.shape};
  for (int i = 0; i < v.strides.rank(); ++i) v.strides[i] = 0;
  return v;
}

void Full::eval(Execution& e) const {
  Value v = value_of(make_ref<Storage>(e.output_device(), size_of(type_.dtype)));
  e.kernels().fill(e.context(), type_.dtype, v.storage->data(), 1, value_);
  e.alias(0, std::move(v));
}

const Full* known_constant(const Tensor& t) {
  const Node& n = *t.node();
  return n.evaluated && n.op && n.op->kind() == OpKind::Full ? static_cast<const Full*>(n.op.get()) : nullptr;
}

void Arange::eval(Execution& e) const {
  e.kernels().arange(e.context(), type_.dtype, e.output(0), type_.shape.numel(), start_, step_);
}

void RandomUniform::eval(Execution& e) const {
  e.kernels().random_uniform(e.context(), type_.dtype, e.output(0), type_.shape.numel(), stream_);
}

void RandomNormal::eval(Execution& e) const {
  e.kernels().random_normal(e.context(), type_.dtype, e.output(0), type_.shape.numel(), stream_);
}

// ---- made again

Attributes Full::attributes() const {
  return {{"shape", to_list(type_.shape)}, {"dtype", type_.dtype}, {"value", value_}};
}

Made Full::make(const Given& g) {
  g.takes(0);
  return std::make_unique<Full>(Type{g.dtype("dtype"), g.shape("shape")}, g.number("value"));
}

Attributes Arange::attributes() const {
  return {{"count", type_.shape[0]}, {"dtype", type_.dtype}, {"start", start_}, {"step", step_}};
}

Made Arange::make(const Given& g) {
  g.takes(0);
  Type type{g.dtype("dtype"), {g.integer("count", 0, int64_t{1} << 47)}};
  return std::make_unique<Arange>(type, g.number("start"), g.number("step"));
}

namespace {

// The stream's words are the bits of these whole numbers.
Attributes attributes_of(const Type& t, const kernels::Philox& stream) {
  return {{"shape", to_list(t.shape)},
          {"dtype", t.dtype},
          {"seed", static_cast<int64_t>(stream.seed)},
          {"offset", static_cast<int64_t>(stream.offset)}};
}

template <class O>
Made make_random(const Given& g) {
  g.takes(0);
  Type type{g.dtype("dtype"), g.shape("shape")};
  if (!is_floating(type.dtype)) fail(g.op(), "a floating dtype is needed, got ", name_of(type.dtype));
  return std::make_unique<O>(
      type, kernels::Philox{static_cast<uint64_t>(g.integer("seed")), static_cast<uint64_t>(g.integer("offset"))});
}

}  // namespace

Attributes RandomUniform::attributes() const { return attributes_of(type_, stream_); }
Made RandomUniform::make(const Given& g) { return make_random<RandomUniform>(g); }
Attributes RandomNormal::attributes() const { return attributes_of(type_, stream_); }
Made RandomNormal::make(const Given& g) { return make_random<RandomNormal>(g); }

// ---- functions

Tensor full(const Shape& shape, double value, DType t, Device d) {
  auto op = std::make_unique<Full>(Type{t, shape}, value);
  if (d.kind != DeviceKind::cpu) return append1(std::move(op), {}, d);
  Value known = op->value_of(element(value, t));  // on the host it is there at once: no plan needs to make it
  Tensor y = append1(std::move(op), {}, d);
  y.node()->outputs[0].value = std::move(known);
  y.node()->evaluated = true;
  return y;
}

Tensor arange(double start, double stop, double step, DType t, Device d) {
  if (step == 0) fail("arange", "the step must not be 0");
  auto n = static_cast<int64_t>(std::ceil((stop - start) / step));
  return append1(std::make_unique<Arange>(Type{t, {std::max<int64_t>(n, 0)}}, start, step), {}, d);
}

Tensor random_uniform(const Shape& shape, uint64_t seed, uint64_t offset, DType t, Device d) {
  if (!is_floating(t)) fail("random_uniform", "a floating dtype is needed, got ", name_of(t));
  return append1(std::make_unique<RandomUniform>(Type{t, shape}, kernels::Philox{seed, offset}), {}, d);
}

Tensor random_normal(const Shape& shape, uint64_t seed, uint64_t offset, DType t, Device d) {
  if (!is_floating(t)) fail("random_normal", "a floating dtype is needed, got ", name_of(t));
  return append1(std::make_unique<RandomNormal>(Type{t, shape}, kernels::Philox{seed, offset}), {}, d);
}

}  // namespace ds

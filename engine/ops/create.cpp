#include "engine/ops/create.h"

#include <cmath>

namespace ds {

void Full::eval(Execution& e) const {
  Value v{make_ref<Storage>(e.output_device(), size_of(type_.dtype)), 0, type_.shape};
  for (int i = 0; i < v.strides.rank(); ++i) v.strides[i] = 0;
  e.kernels().fill(e.context(), type_.dtype, v.storage->data(), 1, value_);
  e.alias(0, std::move(v));
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
  return append1(std::make_unique<Full>(Type{t, shape}, value), {}, d);
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

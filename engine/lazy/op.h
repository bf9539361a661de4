// A primitive: one class that says everything about itself. Instances carry the attributes of one use.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/lazy/given.h"
#include "engine/lazy/tensor.h"

namespace ds {

// Rows of engine/ops/ops.def, in its order.
enum class OpKind : uint8_t {
#define OP(Class, name, category) Class,
#include "engine/ops/ops.def"
};
// unary and binary are elementwise; `elementwise` are the others of that kind.
enum class Category : uint8_t { unary, binary, elementwise, view, constant, compute, random, communication };
inline bool is_elementwise(Category c) { return c <= Category::elementwise; }

struct OpInfo {
  const char* name;
  Category category;
};
const OpInfo& info_of(OpKind);
std::span<const OpInfo> op_table();

class Pending;

struct Cost {
  double flops = 0;
  double bytes = 0;  // read and written
};

// What an op sees while it runs: its inputs' values, and places for its outputs.
class Execution {
 public:
  virtual ~Execution() = default;
  virtual Backend& backend() = 0;
  virtual Device output_device() const = 0;
  virtual const Type& input_type(int i) const = 0;
  virtual const Type& output_type(int i) const = 0;
  virtual const Value& input(int i) = 0;
  virtual const void* contiguous(int i) = 0;        // the input's elements in row-major order; copied if they are not
  virtual void* output(int i) = 0;                  // fresh memory for output i, row-major
  virtual void* output_over(int i, int input) = 0;  // in the memory of that input where nobody else looks, else fresh
  virtual void alias(int i, Value value) = 0;       // output i sees memory that exists
  virtual void pend(std::shared_ptr<Pending>) = 0;  // the outputs are complete once it was waited for
  const kernels::Table& kernels() { return backend().kernels(); }
  kernels::Context& context() { return backend().context(); }
};

class Op {
 public:
  virtual ~Op() = default;
  virtual OpKind kind() const = 0;
  virtual uint8_t variant() const { return 0; }  // tells ops of one kind apart where a plan must not be shared
  const OpInfo& info() const { return info_of(kind()); }
  // Types of the outputs. Throws Error naming the op and the values when the inputs do not fit.
  virtual Types infer(std::span<const Type> inputs) const = 0;
  // Gradients with respect to each input (an empty Tensor: none), given those of the outputs (empty: zero).
  virtual std::vector<Tensor> vjp(std::span<const Tensor> inputs, std::span<const Tensor> outputs,
                                  std::span<const Tensor> grads) const;
  virtual void eval(Execution&) const = 0;
  // Communication: where it would like input i to be written, so that it need not be copied. Empty: anywhere.
  virtual Value place(int /*input*/) const { return {}; }
  // Communication: inputs that were placed hold something else afterwards.
  virtual bool overwrites_inputs() const { return true; }
  // Compute: runs with `bias` added over the last dimension of a matmul (the channels of a convolution), then relu.
  // False: it cannot, nothing was done; the ops then run one at a time.
  virtual bool eval_with_epilogue(Execution&, const void* /*bias*/, bool /*relu*/) const { return false; }
  virtual Cost cost(std::span<const Type> inputs, std::span<const Type> outputs) const;
  // What it was made with, besides its inputs. A class that has any has `static std::unique_ptr<const Op> make(const
  // Given&)` too, which makes it again from them (engine/ops/make.h).
  virtual Attributes attributes() const { return {}; }
};

// Base of every primitive: ties the class to its row.
template <OpKind K>
class Primitive : public Op {
 public:
  OpKind kind() const final { return K; }
};

// Appends a node. Throws what infer throws, and Error when the inputs are on different devices.
std::vector<Tensor> append(std::unique_ptr<const Op> op, Tensors inputs, Device device = {});
Tensor append1(std::unique_ptr<const Op> op, Tensors inputs, Device device = {});  // its first output
using Made = std::unique_ptr<const Op>;
template <class O, class... A>
Tensor apply1(Tensors inputs, A&&... attributes) {
  return append1(std::make_unique<O>(std::forward<A>(attributes)...), std::move(inputs));
}

}  // namespace ds

// A node of the trace: an op over inputs, or a leaf that has its value.
#pragma once
#include <memory>

#include "engine/lazy/op.h"

namespace ds {

// Communication under way; waited for before the first use of what it brings.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void wait() = 0;
};

struct Node final : RefCounted {
  struct Output {
    Type type;
    Value value;  // empty until computed
  };

  std::unique_ptr<const Op> op;  // null for a leaf
  Tensors inputs;
  SmallVector<Output, 1> outputs;
  Device device;
  bool requires_grad = false;
  bool spent = false;  // grad() used its graph up, or that of an input: what it depends on is no longer known
  bool evaluated = false;
  uint64_t sequence = 0;             // order of creation: the program's own order
  std::shared_ptr<Pending> pending;  // outputs are still under way

  // Scratch of the trace under way; meaningful while `mark` is its number.
  uint64_t mark = 0;
  uint32_t index = 0;
  uint32_t uses = 0;  // edges from nodes of this trace

  // A long chain of nodes is released in a loop, not by recursion.
  ~Node() override;
  // Lets go of the inputs once the value is there, unless autograd still needs them.
  void detach();
};

}  // namespace ds

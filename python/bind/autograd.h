// backward() and grad(): which Python objects the engine's gradients belong to.
#pragma once
#include "python/bind/tensor.h"

namespace ds::py {

// Makes the object a leaf that gathers a gradient, or stops it.
void require_grad(TensorObject* o, bool on);
// The object holds another value from now on; a gradient is still gathered for it.
void replace(TensorObject* o, Tensor t);
void forget_leaf(TensorObject* o);
void bind_autograd(nb::module_& m);

}  // namespace ds::py

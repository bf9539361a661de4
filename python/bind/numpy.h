// Arrays of NumPy over memory of ours, made through its C functions: nothing else is as quick.
#pragma once
#include "python/bind/tensor.h"

namespace ds::py {

// An ndarray over these elements that keeps `owner` alive. Throws Error when NumPy has no such dtype (bfloat16).
PyObject* new_ndarray(const Type& type, const Value& value, PyObject* owner);

}  // namespace ds::py

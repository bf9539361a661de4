// Memory shared with NumPy, DLPack and the buffer protocol, and values made from Python's own.
#pragma once
#include "python/bind/types.h"

namespace ds::py {

// A tensor over the memory of an ndarray or a NumPy scalar (copied when it is read-only, not aligned or strided against
// its order); null for anything else.
Tensor from_array_like(PyObject* o, Device device);
PyObject* element(const Tensor& t);  // the only one, as a Python number. Throws Error when there are others
Tensor clone(const Tensor& t);
Tensor to_device(const Tensor& t, Device device);  // by way of the host; outside of autograd
// The new values, in the old tensor's very memory: others look at it.
Tensor overwrite(const Tensor& now, const Tensor& fresh);
// Whether an in-place result of one dtype may be kept in another: never a fraction in an integer, or a number in a
// bool.
bool casts_in_place(DType from, DType to);
Tensor complex_beside(double re, double im, const Tensor& beside);
// Integers divide to the default floating dtype.
Tensor true_divide(const Tensor& a, const Tensor& b);
void add_buffer_slots(std::vector<PyType_Slot>& slots);  // numpy() and item()
void bind_buffers(nb::module_& m);

}  // namespace ds::py

// The Python object around a Tensor: one CPython type with number slots, so that recording an op costs no more than the
// op. Everything else is bound by nanobind, for which the casters below turn the object into a ds::Tensor and back.
#pragma once
#include <nanobind/nanobind.h>

#include <functional>

#include "engine/lazy/tensor.h"

namespace ds::py {

namespace nb = nanobind;

struct TensorObject;

// How a view follows its base: arrays are functional, so writing through a view gives its base a new value, and a view
// whose base was written to is taken again.
struct View {
  TensorObject* base;                                                    // owned
  std::function<Tensor(const Tensor& base)> take;                        // the view of the base's value
  std::function<Tensor(const Tensor& base, const Tensor& value)> write;  // the base with the view's part replaced
  uint64_t version;                                                      // of the base, when the view was taken
};

struct TensorObject {
  PyObject_HEAD Tensor tensor;
  PyObject* weakrefs;
  PyObject* grad;                 // a Tensor, or null
  PyObject* extra;                // what the Python side keeps with it (hooks), or null
  View* view;                     // null: memory of its own
  bool gathers;                   // backward() looks for it
  uint64_t version;               // counts in-place writes
  TensorObject *previous, *next;  // in the list of those that may not be computed yet
};

extern PyTypeObject* the_tensor_type;
inline PyTypeObject* tensor_type() { return the_tensor_type; }
void make_tensor_type(nb::module_& m);

inline bool is_tensor(PyObject* o) {
  return Py_TYPE(o) == tensor_type() || PyType_IsSubtype(Py_TYPE(o), tensor_type());
}
inline TensorObject* object_of(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }

// The object's value, taken again if it is a view of something that was written to.
const Tensor& unwrap(TensorObject* o);
inline const Tensor& unwrap(PyObject* o) { return unwrap(object_of(o)); }

// A new object, of the given subtype or Tensor itself. Steals nothing.
PyObject* wrap(Tensor t, PyTypeObject* type = nullptr);
// A view of `base`, which it keeps alive.
PyObject* wrap_view(TensorObject* base, Tensor t, std::function<Tensor(const Tensor&)> take,
                    std::function<Tensor(const Tensor&, const Tensor&)> write);

// In-place: the object (and what it is a view of) has this value from now on, cast to its dtype. Throws Error when the
// shape differs or a leaf that requires a gradient would be written while gradients are on.
void assign(TensorObject* o, const Tensor& value, const char* op);

// Computes whatever live objects still wait for, and these, in one plan. Called when much has gathered that nobody
// looked at, and at the end of a training step: what is left waiting would hold the old parameters.
void flush(std::vector<Tensor> also = {});

// A tensor from any operand Python may give beside one: numbers take on the dtype that promotion gives them.
// Null when the object is none of these. `whole`: a number of beside's dtype comes in its shape, for ops that would
// broadcast it to that.
Tensor operand(PyObject* o, const Tensor& beside, bool whole = false);

// deepseek.Error, what a ds::Error becomes: a RuntimeError, as PyTorch's users expect, and a ValueError.
PyObject* error_type();

// Like assign() to each, but computed in one plan with all that waits: the old values go while it runs, so that what
// may work in place does. For the end of a training step, under NoGrad.
void settle(const std::vector<TensorObject*>& objects, std::vector<Tensor> values, const char* op);

// Translates the C++ exception in flight to a Python one; for slots, which nanobind does not wrap.
void set_python_error();

template <class F>
PyObject* guarded(F&& f) {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

}  // namespace ds::py

namespace nanobind::detail {

template <>
struct type_caster<ds::Tensor> {
  NB_TYPE_CASTER(ds::Tensor, const_name("deepseek.Tensor"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    if (!ds::py::is_tensor(src.ptr())) return false;
    try {
      value = ds::py::unwrap(src.ptr());
    } catch (...) {
      return false;
    }
    return true;
  }
  static handle from_cpp(const ds::Tensor& t, rv_policy, cleanup_list*) noexcept {
    if (!t) return none().release();
    try {
      return ds::py::wrap(t);
    } catch (...) {  // it was computed at once, and that failed
      ds::py::set_python_error();
      return {};
    }
  }
};

}  // namespace nanobind::detail

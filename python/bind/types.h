// Casters for the engine's small types: DType, Shape, Device.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "python/bind/tensor.h"

namespace ds::py {

// The Python object for a dtype (deepseek.float32, ...): one each, made once.
nb::object dtype_object(DType);
// From a dtype object, a Python type (float, int, bool, complex), a NumPy dtype or type, or a name. False: none of
// these.
bool dtype_from(nb::handle, DType& out);
void bind_types(nb::module_& m);

DType default_dtype();  // of floats made from Python numbers: float32 unless set_default_dtype says otherwise
void set_default_dtype(DType);

}  // namespace ds::py

namespace nanobind::detail {

template <>
struct type_caster<ds::DType> {
  NB_TYPE_CASTER(ds::DType, const_name("deepseek.dtype"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    try {
      return ds::py::dtype_from(src, value);
    } catch (...) {
      return false;
    }
  }
  static handle from_cpp(ds::DType t, rv_policy, cleanup_list*) noexcept { return ds::py::dtype_object(t).release(); }
};

template <>
struct type_caster<ds::Shape> {
  NB_TYPE_CASTER(ds::Shape, const_name("collections.abc.Sequence[int]"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    value = {};
    auto add = [&](PyObject* o) {
      PyObject* index = PyNumber_Index(o);
      if (!index) {
        PyErr_Clear();
        return false;
      }
      int64_t d = PyLong_AsLongLong(index);
      Py_DECREF(index);
      if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
      }
      if (value.rank() == ds::kMaxDims) return false;
      value.push_back(d);
      return true;
    };
    if (PyLong_Check(src.ptr())) return add(src.ptr());
    if (!PySequence_Check(src.ptr()) || PyUnicode_Check(src.ptr())) return false;
    Py_ssize_t n = PySequence_Size(src.ptr());
    if (n < 0) {
      PyErr_Clear();
      return false;
    }
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* item = PySequence_GetItem(src.ptr(), i);
      if (!item) {
        PyErr_Clear();
        return false;
      }
      bool ok = add(item);
      Py_DECREF(item);
      if (!ok) return false;
    }
    return true;
  }
  static handle from_cpp(const ds::Shape& s, rv_policy, cleanup_list*) noexcept {
    PyObject* t = PyTuple_New(s.rank());
    for (int i = 0; t && i < s.rank(); ++i) PyTuple_SET_ITEM(t, i, PyLong_FromLongLong(s[i]));
    return t;
  }
};

template <>
struct type_caster<ds::Device> {
  NB_TYPE_CASTER(ds::Device, const_name("str"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    const char* text = PyUnicode_Check(src.ptr()) ? PyUnicode_AsUTF8(src.ptr()) : nullptr;
    if (!text) {
      PyErr_Clear();
      return false;
    }
    try {
      value = ds::Device::parse(text);
    } catch (...) {
      return false;
    }
    return true;
  }
  static handle from_cpp(ds::Device d, rv_policy, cleanup_list*) noexcept {
    return PyUnicode_FromString(d.kind == ds::DeviceKind::cpu ? "cpu" : d.str().c_str());
  }
};

}  // namespace nanobind::detail

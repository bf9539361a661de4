#include "python/bind/types.h"

#include <array>

#include "python/bind/tensor.h"

namespace ds::py {
namespace {

// What Python sees of a dtype.
struct DTypeObject {
  DType value;
};

std::array<nb::object, 256>& objects() {
  static auto* all = new std::array<nb::object, 256>;
  return *all;
}
DType default_ = DType::f32;

constexpr DType kAll[] = {
#define X(e, c, n) DType::e,
    DS_DTYPES(X)
#undef X
};

bool from_name(std::string_view name, DType& out) {
  for (DType t : kAll)
    if (name == name_of(t)) {
      out = t;
      return true;
    }
  return false;
}

}  // namespace

nb::object dtype_object(DType t) { return objects()[static_cast<size_t>(t)]; }

DType default_dtype() { return default_; }
void set_default_dtype(DType t) {
  if (!is_floating(t)) fail("set_default_dtype", "a floating dtype is needed, got ", name_of(t));
  default_ = t;
}

bool dtype_from(nb::handle h, DType& out) {
  if (DTypeObject * d; nb::try_cast(h, d) && d) {
    out = d->value;
    return true;
  }
  auto is = [&](PyTypeObject& t) { return h.ptr() == reinterpret_cast<PyObject*>(&t); };
  if (is(PyFloat_Type)) return out = default_, true;
  if (is(PyBool_Type)) return out = DType::boolean, true;
  if (is(PyLong_Type)) return out = DType::i64, true;
  if (is(PyComplex_Type)) return out = default_ == DType::f64 ? DType::c128 : DType::c64, true;
  if (nb::isinstance<nb::str>(h)) return from_name(nb::cast<std::string>(h), out);
  if (nb::hasattr(h, "name") && nb::hasattr(h, "itemsize"))  // a NumPy dtype
    return from_name(nb::cast<std::string>(nb::str(h.attr("name"))), out);
  if (PyType_Check(h.ptr()) && nb::hasattr(h, "dtype"))  // a NumPy scalar type
    return from_name(nb::cast<std::string>(h.attr("__name__")), out);
  return false;
}

void bind_types(nb::module_& m) {
  nb::class_<DTypeObject>(m, "dtype", "An element type: deepseek.float32, deepseek.int64, ...")
      .def_prop_ro("name", [](const DTypeObject& d) { return name_of(d.value); })
      .def_prop_ro(
          "itemsize", [](const DTypeObject& d) { return size_of(d.value); }, "Bytes of an element.")
      .def_prop_ro("is_floating_point", [](const DTypeObject& d) { return is_floating(d.value); })
      .def_prop_ro("is_complex", [](const DTypeObject& d) { return is_complex(d.value); })
      .def_prop_ro(
          "is_signed",
          [](const DTypeObject& d) { return is_floating(d.value) || is_complex(d.value) || is_signed(d.value); })
      .def("__repr__", [](const DTypeObject& d) { return "deepseek." + std::string(name_of(d.value)); })
      .def("__hash__", [](const DTypeObject& d) { return static_cast<int64_t>(d.value) + 7919; })
      .def("__reduce__",
           [](const DTypeObject& d) {
             return nb::make_tuple(nb::module_::import_("deepseek").attr("_dtype_named"),
                                   nb::make_tuple(name_of(d.value)));
           })
      .def(
          "__eq__",
          [](const DTypeObject& d, nb::handle o) {
            DType t;
            return (nb::isinstance<DTypeObject>(o) || (PyType_Check(o.ptr()) ? false : !nb::isinstance<nb::str>(o))) &&
                   dtype_from(o, t) && t == d.value;
          },
          nb::arg("other").none());
  for (DType t : kAll) {
    objects()[static_cast<size_t>(t)] = nb::cast(DTypeObject{t});
    m.attr(t == DType::boolean ? "bool" : name_of(t)) = dtype_object(t);
  }
  m.def(
      "to_dtype", [](DType t) { return t; }, "The dtype that a name, a Python type or a NumPy dtype stands for.");
  m.def("get_default_dtype", default_dtype);
  m.def("set_default_dtype", set_default_dtype);
}

}  // namespace ds::py

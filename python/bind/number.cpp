#include "python/bind/number.h"

#include "engine/ops/functions.h"
#include "python/bind/buffer.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

Tensor constant_beside(double v, DType t, const Tensor& x, bool whole) {
  return full(whole && t == x.dtype() ? x.shape() : Shape{}, v, t, x.device());
}

Tensor integer_beside(int64_t v, const Tensor& x, bool whole) {
  constexpr int64_t kExact = int64_t{1} << 53;
  DType t = x.dtype() == DType::boolean ? DType::i64 : x.dtype();
  if (v > -kExact && v < kExact) return constant_beside(static_cast<double>(v), t, x, whole);
  return cast(Tensor::from<int64_t>({v}, {}, x.device()), t);
}

Tensor float_beside(double v, const Tensor& x, bool whole) {
  DType t = is_floating(x.dtype()) || is_complex(x.dtype()) ? x.dtype() : default_dtype();
  return constant_beside(v, t, x, whole);
}

template <Tensor (*f)(const Tensor&, const Tensor&), bool elementwise = true>
PyObject* binary(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    if (is_tensor(a)) {
      const Tensor& x = unwrap(a);
      if (is_tensor(b)) return wrap(f(x, unwrap(b)));
      Tensor y = operand(b, x, elementwise);
      if (!y) Py_RETURN_NOTIMPLEMENTED;
      return wrap(f(x, y));
    }
    const Tensor& y = unwrap(b);
    Tensor x = operand(a, y, elementwise);
    if (!x) Py_RETURN_NOTIMPLEMENTED;
    return wrap(f(x, y));
  });
}

template <Tensor (*f)(const Tensor&, const Tensor&)>
PyObject* in_place(PyObject* self, PyObject* other) {
  return guarded([&]() -> PyObject* {
    const Tensor x = unwrap(self);
    Tensor y = is_tensor(other) ? unwrap(other) : operand(other, x, true);
    if (!y) Py_RETURN_NOTIMPLEMENTED;
    Tensor result = f(x, y);
    if (result.dtype() != x.dtype() && !casts_in_place(result.dtype(), x.dtype()))
      fail("in place", "a result of ", name_of(result.dtype()), " cannot be kept in a ", name_of(x.dtype()), " tensor");
    assign(object_of(self), result, "in place");
    return Py_NewRef(self);
  });
}

template <Tensor (*f)(const Tensor&)>
PyObject* unary(PyObject* x) {
  return guarded([&] { return wrap(f(unwrap(x))); });
}

PyObject* positive(PyObject* x) { return Py_NewRef(x); }

Tensor divided(const Tensor& a, const Tensor& b) { return true_divide(a, b); }
Tensor product(const Tensor& a, const Tensor& b) { return matmul(a, b); }

PyObject* compare(PyObject* a, PyObject* b, int op) {
  return guarded([&]() -> PyObject* {
    const Tensor& x = unwrap(a);
    Tensor y = is_tensor(b) ? unwrap(b) : operand(b, x, true);
    if (!y) Py_RETURN_NOTIMPLEMENTED;
    switch (op) {
      case Py_LT:
        return wrap(less(x, y));
      case Py_LE:
        return wrap(less_equal(x, y));
      case Py_EQ:
        return wrap(equal(x, y));
      case Py_NE:
        return wrap(not_equal(x, y));
      case Py_GT:
        return wrap(greater(x, y));
      default:
        return wrap(greater_equal(x, y));
    }
  });
}

int truth(PyObject* self) {
  int result = -1;
  PyObject* ok = guarded([&] {
    const Tensor& t = unwrap(self);
    if (t.numel() != 1)
      fail("bool", "the truth of a tensor of ", t.numel(), " elements, ", t.type(),
           ", is ambiguous: use any() or all()");
    result = t.dtype() == DType::f32 ? t.item<float>() != 0 : cast(t, DType::boolean).item<bool>();
    return Py_NewRef(Py_None);
  });
  Py_XDECREF(ok);
  return ok ? result : -1;
}

PyObject* to_float(PyObject* self) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (t.numel() != 1) fail("float", "one element is needed, the tensor is ", t.type());
    return PyFloat_FromDouble(t.dtype() == DType::f32 ? t.item<float>() : cast(t, DType::f64).item<double>());
  });
}
PyObject* to_int(PyObject* self) {
  return guarded([&] {
    const Tensor& t = unwrap(self);
    if (t.numel() != 1) fail("int", "one element is needed, the tensor is ", t.type());
    if (!is_floating(t.dtype())) return PyLong_FromLongLong(cast(t, DType::i64).item<int64_t>());
    return PyLong_FromDouble(cast(t, DType::f64).item<double>());
  });
}
PyObject* to_index(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    if (t.numel() != 1 || is_floating(t.dtype()) || is_complex(t.dtype())) {
      PyErr_Format(PyExc_TypeError, "only integer tensors of one element can be an index, got %s",
                   t.type().dtype == DType::boolean ? "bool" : name_of(t.dtype()));
      return nullptr;
    }
    return PyLong_FromLongLong(cast(t, DType::i64).item<int64_t>());
  });
}

Py_hash_t hash(PyObject* self) { return _Py_HashPointer(self); }

}  // namespace

Tensor operand(PyObject* o, const Tensor& beside, bool whole) {
  if (is_tensor(o)) return unwrap(o);
  if (PyBool_Check(o)) {
    if (beside.dtype() == DType::boolean) return full({}, o == Py_True, DType::boolean, beside.device());
    return integer_beside(o == Py_True, beside, whole);
  }
  if (PyFloat_Check(o)) return float_beside(PyFloat_AS_DOUBLE(o), beside, whole);
  if (PyLong_Check(o) || (PyIndex_Check(o) && !PySequence_Check(o))) {
    PyObject* index = PyNumber_Index(o);
    if (!index) throw nb::python_error();
    int overflow = 0;
    int64_t v = PyLong_AsLongLongAndOverflow(index, &overflow);
    double wide = overflow ? PyLong_AsDouble(index) : 0;
    Py_DECREF(index);
    if (PyErr_Occurred()) throw nb::python_error();
    return overflow ? float_beside(wide, beside, whole) : integer_beside(v, beside, whole);
  }
  if (PyComplex_Check(o)) return complex_beside(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o), beside);
  return from_array_like(o, beside.device());
}

void add_number_slots(std::vector<PyType_Slot>& slots) {
  auto slot = [&](int id, auto* f) { slots.push_back({id, reinterpret_cast<void*>(f)}); };
  slot(Py_nb_add, binary<add>);
  slot(Py_nb_subtract, binary<sub>);
  slot(Py_nb_multiply, binary<mul>);
  slot(Py_nb_true_divide, binary<divided>);
  slot(Py_nb_matrix_multiply, binary<product, false>);
  slot(Py_nb_inplace_add, in_place<add>);
  slot(Py_nb_inplace_subtract, in_place<sub>);
  slot(Py_nb_inplace_multiply, in_place<mul>);
  slot(Py_nb_inplace_true_divide, in_place<divided>);
  slot(Py_nb_negative, unary<neg>);
  slot(Py_nb_absolute, unary<abs>);
  slot(Py_nb_positive, positive);
  slot(Py_nb_bool, truth);
  slot(Py_nb_float, to_float);
  slot(Py_nb_int, to_int);
  slot(Py_nb_index, to_index);
  slot(Py_tp_richcompare, compare);
  slot(Py_tp_hash, hash);
}

}  // namespace ds::py

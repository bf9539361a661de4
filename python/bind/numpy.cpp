#include "python/bind/numpy.h"

namespace ds::py {
namespace {

// Three entries of NumPy's table of C functions. Their places and types are its ABI, which NumPy 1 and 2 share: so one
// build serves both, without their headers.
struct Numpy {
  using Extent = intptr_t;
  PyTypeObject* array_type;  // PyArray_Type
  PyObject* (*array)(PyTypeObject*, int, const Extent*, int, const Extent*, void*, int, int, PyObject*);  // PyArray_New
  int (*set_base)(PyObject* array, PyObject* base);  // PyArray_SetBaseObject: takes the reference

  Numpy() {
    nb::object module;
    try {
      module = nb::module_::import_("numpy._core._multiarray_umath");
    } catch (nb::python_error&) {  // before 1.26
      module = nb::module_::import_("numpy.core._multiarray_umath");
    }
    nb::object capsule = module.attr("_ARRAY_API");
    auto** table = static_cast<void**>(PyCapsule_GetPointer(capsule.ptr(), nullptr));
    if (!table) throw nb::python_error();
    array_type = static_cast<PyTypeObject*>(table[2]);
    array = reinterpret_cast<decltype(array)>(table[93]);
    set_base = reinterpret_cast<decltype(set_base)>(table[282]);
  }
};

constexpr int kAligned = 0x0100, kWriteable = 0x0400;

// NumPy's numbers of types, where `long` is int64.
int type_number(DType t) {
  switch (t) {
    case DType::boolean:
      return 0;
    case DType::i8:
      return 1;
    case DType::u8:
      return 2;
    case DType::i16:
      return 3;
    case DType::u16:
      return 4;
    case DType::i32:
      return 5;
    case DType::u32:
      return 6;
    case DType::i64:
      return 7;
    case DType::u64:
      return 8;
    case DType::f32:
      return 11;
    case DType::f64:
      return 12;
    case DType::c64:
      return 14;
    case DType::c128:
      return 15;
    case DType::f16:
      return 23;
    default:
      fail("numpy", "NumPy has no ", name_of(t));
  }
}

}  // namespace

PyObject* new_ndarray(const Type& type, const Value& value, PyObject* owner) {
  static const auto* numpy = new Numpy;
  int rank = type.shape.rank();
  Numpy::Extent strides[kMaxDims];
  for (int i = 0; i < rank; ++i) strides[i] = value.strides[i] * static_cast<int64_t>(size_of(type.dtype));
  PyObject* array = numpy->array(numpy->array_type, rank, type.shape.begin(), type_number(type.dtype), strides,
                                 value.data(type.dtype), 0, kAligned | kWriteable, nullptr);
  if (!array) throw nb::python_error();
  if (numpy->set_base(array, Py_NewRef(owner)) < 0) {
    Py_DECREF(array);
    throw nb::python_error();
  }
  return array;
}

}  // namespace ds::py

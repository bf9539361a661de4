#include "python/bind/buffer.h"

#include <nanobind/ndarray.h>

#include "engine/autograd/custom.h"
#include "engine/lazy/executor.h"
#include "engine/lazy/node.h"
#include "engine/ops/functions.h"
#include "engine/ops/view.h"
#include "python/bind/autograd.h"
#include "python/bind/numpy.h"

namespace ds::py {
namespace {

nb::dlpack::dtype dlpack_type(DType t) {
  using nb::dlpack::dtype_code;
  auto of = [&](dtype_code c) {
    return nb::dlpack::dtype{static_cast<uint8_t>(c), static_cast<uint8_t>(size_of(t) * 8), 1};
  };
  if (t == DType::bf16) return of(dtype_code::Bfloat);
  if (t == DType::boolean) return of(dtype_code::Bool);
  if (is_complex(t)) return of(dtype_code::Complex);
  if (is_floating(t)) return of(dtype_code::Float);
  return of(is_signed(t) ? dtype_code::Int : dtype_code::UInt);
}

DType from_dlpack_type(nb::dlpack::dtype d) {
#define X(e, c, n) \
  if (nb::dlpack::dtype x = dlpack_type(DType::e); x == d) return DType::e;
  DS_DTYPES(X)
#undef X
  fail("asarray", "elements of DLPack code ", int{d.code}, " and ", int{d.bits}, " bits have no dtype here");
}

// Keeps a Python object; let go of from whatever thread drops the memory last.
std::shared_ptr<void> keep(nb::object o) {
  return {new nb::object(std::move(o)), [](void* p) {
            if (!Py_IsInitialized()) return;
            nb::gil_scoped_acquire gil;
            delete static_cast<nb::object*>(p);
          }};
}

Tensor share(nb::ndarray<> a, nb::object owner) {
  if (a.device_type() != nb::device::cpu::value) fail("asarray", "only host memory can be shared, got a device array");
  DType dtype = from_dlpack_type(a.dtype());
  Shape shape, strides;
  int64_t reach = 1;
  for (size_t i = 0; i < a.ndim(); ++i) {
    shape.push_back(static_cast<int64_t>(a.shape(i)));
    strides.push_back(0);
    strides[static_cast<int>(i)] = a.stride(i);
    reach += std::max<int64_t>(0, (shape[static_cast<int>(i)] - 1) * a.stride(i));
  }
  auto storage =
      make_ref<Storage>(Device{}, a.data(), static_cast<size_t>(reach) * size_of(dtype), keep(std::move(owner)));
  storage->share_outside();
  auto node = make_ref<Node>();
  node->evaluated = true;
  node->outputs.push_back({{dtype, shape}, {std::move(storage), 0, strides}});
  return {std::move(node), 0};
}

// Memory that is this object's alone from now on, so that others may look at it and write to it.
const Value& exclusive(TensorObject* o) {
  const Value& v = unwrap(o).value();
  const Tensor& now = o->tensor;
  bool alone = v.storage->shared_outside() || (v.storage->use_count() == 1 && now.node()->use_count() == 1);
  if (!alone) {
    Tensor t = now;
    Value copy = make_contiguous(v, t.type(), t.device());
    bool grad = t.requires_grad() && !t.node()->op;
    Tensor own = Tensor::wrap(copy.storage, 0, t.dtype(), t.shape());
    if (grad) own.set_requires_grad(true);
    replace(o, own);
  }
  const Value& mine = o->tensor.value();
  mine.storage->share_outside();
  return mine;
}

nb::object to_numpy(nb::handle self, bool force) {
  TensorObject* o = object_of(self.ptr());
  const Tensor& t = unwrap(o);
  if (t.requires_grad() && !force)
    fail("numpy", "the tensor requires a gradient, which NumPy would lose: use detach().numpy()");
  if (t.dtype() == DType::bf16) {  // NumPy has no such type
    nb::object wide = nb::steal(wrap(cast(t, DType::f32)));
    return to_numpy(wide, true);
  }
  const Value& v = exclusive(o);
  return nb::steal(new_ndarray(o->tensor.type(), v, self.ptr()));
}

nb::object to_dlpack(nb::handle self) {
  TensorObject* o = object_of(self.ptr());
  if (unwrap(o).requires_grad()) fail("__dlpack__", "the tensor requires a gradient: use detach() first");
  const Value& v = exclusive(o);
  const Tensor& t = o->tensor;
  std::vector<size_t> shape(t.shape().begin(), t.shape().end());
  nb::ndarray<> array(v.data(t.dtype()), shape.size(), shape.data(), self, v.strides.begin(), dlpack_type(t.dtype()));
  return nb::cast(array, nb::rv_policy::reference);  // a capsule
}

// ---- methods of Tensor, in C as their cost is all that a short computation waits for

PyObject* numpy_method(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
  return guarded([&]() -> PyObject* {
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (n > 0 || named > 1 || (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "force")))
      throw nb::type_error("numpy() takes one argument, by name: force");
    int force = named == 1 ? PyObject_IsTrue(args[0]) : 0;
    if (force < 0) throw nb::python_error();
    return to_numpy(self, force != 0).release().ptr();
  });
}

PyObject* item_method(PyObject* self, PyObject*) {
  return guarded([&] { return element(unwrap(self)); });
}

PyMethodDef methods[] = {
    {"numpy", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(numpy_method)), METH_FASTCALL | METH_KEYWORDS,
     "numpy($self, /, *, force=False)\n--\n\n"
     "The elements as a NumPy array over the same memory (bfloat16: a float32 copy)."},
    {"item", item_method, METH_NOARGS, "item($self, /)\n--\n\nThe only element, as a Python number."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* element(const Tensor& t) {
  switch (t.dtype()) {
    case DType::boolean:
      return PyBool_FromLong(t.item<bool>());
    case DType::u64:
      return PyLong_FromUnsignedLongLong(t.item<uint64_t>());
    case DType::i64:
      return PyLong_FromLongLong(t.item<int64_t>());
    case DType::f32:
      return PyFloat_FromDouble(static_cast<double>(t.item<float>()));
    case DType::f64:
      return PyFloat_FromDouble(t.item<double>());
    default:
      break;
  }
  if (is_floating(t.dtype())) return PyFloat_FromDouble(cast(t, DType::f64).item<double>());
  if (!is_complex(t.dtype())) return PyLong_FromLongLong(cast(t, DType::i64).item<int64_t>());
  auto z = cast(t, DType::c128).item<complex128>();
  return PyComplex_FromDoubles(z.re, z.im);
}

void add_buffer_slots(std::vector<PyType_Slot>& slots) { slots.push_back({Py_tp_methods, methods}); }

Tensor from_array_like(PyObject* o, Device device) {
  nb::handle h(o);
  if (!nb::hasattr(h, "__array_interface__") && !nb::hasattr(h, "__dlpack__")) return {};
  nb::object array = nb::borrow(h);
  if (nb::hasattr(h, "__array_interface__")) {
    nb::object np = nb::module_::import_("numpy");
    array = np.attr("asarray")(h);
    bool native = nb::cast<bool>(array.attr("dtype").attr("isnative"));
    bool writable = nb::cast<bool>(array.attr("flags").attr("writeable"));
    if (!writable || !native || !nb::cast<bool>(array.attr("flags").attr("aligned")))
      array = array.attr("astype")(array.attr("dtype").attr("newbyteorder")("="));
  }
  nb::ndarray<> view;
  if (!nb::try_cast(array, view)) {
    std::string what = nb::hasattr(array, "dtype") ? nb::cast<std::string>(nb::str(array.attr("dtype"))) : "its kind";
    fail("asarray", "an array of ", what, " has no dtype here");
  }
  Tensor t = share(std::move(view), array);
  if (device == Device{}) return t;
  return to_device(t, device);
}

// Values are never written to, so a copy may share them; memory that others write to is copied now.
Tensor clone(const Tensor& t) {
  if (!t.evaluated() || !t.value().storage->shared_outside()) return contiguous(t);
  Value copy = make_contiguous(t.value(), t.type(), t.device());
  Tensor own = Tensor::wrap(copy.storage, 0, t.dtype(), t.shape());
  if (!t.requires_grad()) return own;
  return custom_gradient({own}, {t}, [](std::span<const Tensor> g) { return std::vector<Tensor>{g[0]}; })[0];
}

Tensor to_device(const Tensor& t, Device device) {
  if (t.device() == device) return t;
  std::vector<char> host(static_cast<size_t>(t.type().bytes()));
  t.copy_to_host(host.data());
  auto storage = make_ref<Storage>(device, host.size());
  backend(device).from_host(storage->data(), host.data(), host.size());
  return Tensor::wrap(std::move(storage), 0, t.dtype(), t.shape());
}

Tensor overwrite(const Tensor& now, const Tensor& fresh) {
  const Value& to = now.value();
  Value from = make_contiguous(fresh.value(), fresh.type(), fresh.device());
  Shape strides[] = {to.strides};
  kernels::EwSpace space = collapse(now.shape(), strides);
  Backend& b = backend(now.device());
  b.kernels().scatter_strided(b.context(), now.dtype(), to.data(now.dtype()), space, strides[0].begin(),
                              from.data(now.dtype()));
  return now;
}

Tensor complex_beside(double re, double im, const Tensor& beside) {
  DType t = is_inexact(beside.dtype()) ? complex_of(beside.dtype()) : complex_of(default_dtype());
  return cast(Tensor::from<complex128>({complex128(re, im)}, {}, beside.device()), t);
}

bool casts_in_place(DType from, DType to) {
  auto kind = [](DType t) { return is_complex(t) ? 3 : is_floating(t) ? 2 : t == DType::boolean ? 0 : 1; };
  return kind(from) <= kind(to);
}

Tensor true_divide(const Tensor& a, const Tensor& b) {
  auto whole = [](const Tensor& t) { return !is_floating(t.dtype()) && !is_complex(t.dtype()); };
  if (whole(a) && whole(b)) return div(cast(a, default_dtype()), cast(b, default_dtype()));
  return div(a, b);
}

void bind_buffers(nb::module_& m) {
  m.def("numpy", to_numpy, nb::arg("self"), nb::arg("force") = false);
  m.def("dlpack", to_dlpack);
  m.def("from_array", [](nb::handle o) {
    Tensor t = from_array_like(o.ptr(), {});
    if (!t) throw nb::type_error("an array is needed: something with __array_interface__ or __dlpack__");
    return t;
  });
  m.def("item", [](const Tensor& t) { return nb::steal(element(t)); });
}

}  // namespace ds::py

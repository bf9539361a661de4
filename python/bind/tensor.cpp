#include "python/bind/tensor.h"

#include <structmember.h>

#include "engine/lazy/node.h"
#include "engine/ops/functions.h"
#include "engine/ops/view.h"
#include "python/bind/autograd.h"
#include "python/bind/buffer.h"
#include "python/bind/index.h"
#include "python/bind/number.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

constexpr int64_t kMostWaiting = 4096;                   // nodes
constexpr int64_t kMostWaitingBytes = int64_t{1} << 28;  // of their results

// Objects whose value may not be computed yet, and how much they hold back.
TensorObject waiting_;
int64_t waiting_nodes_ = 0, waiting_bytes_ = 0;

void link(TensorObject* o) {
  o->next = waiting_.next;
  o->previous = &waiting_;
  waiting_.next->previous = o;
  waiting_.next = o;
}
void unlink(TensorObject* o) {
  if (!o->next) return;
  o->previous->next = o->next;
  o->next->previous = o->previous;
  o->next = o->previous = nullptr;
}

// Graphs that wait for a backward pass are left alone: computing them early would only compute them twice.
void count(const Tensor& t) {
  if (t.requires_grad()) return;
  waiting_bytes_ += t.type().bytes();
  if (++waiting_nodes_ > kMostWaiting || waiting_bytes_ > kMostWaitingBytes) flush();
}

bool writes_through(const Tensor& t) {
  return t.evaluated() && t.node()->outputs[static_cast<size_t>(t.output())].value.storage->shared_outside();
}

TensorObject* allocate(PyTypeObject* type, Tensor t) {
  auto* o = reinterpret_cast<TensorObject*>(type->tp_alloc(type, 0));
  if (!o) throw nb::python_error();
  new (&o->tensor) Tensor(std::move(t));
  return o;
}

void destroy(PyObject* self) {
  auto* o = object_of(self);
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(o->extra);
  if (o->weakrefs) PyObject_ClearWeakRefs(self);
  forget_leaf(o);
  unlink(o);
  if (o->view) {
    Py_DECREF(reinterpret_cast<PyObject*>(o->view->base));
    delete o->view;
  }
  Py_CLEAR(o->grad);
  o->tensor.~Tensor();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* make_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    nb::object made = nb::module_::import_("deepseek")
                          .attr("_new_tensor")(*nb::borrow<nb::args>(args),
                                               **(kwargs ? nb::borrow<nb::kwargs>(kwargs) : nb::kwargs()));
    if (type == the_tensor_type) return made.release().ptr();
    return wrap(unwrap(made.ptr()), type);
  });
}

PyObject* get_grad(PyObject* self, void*) {
  PyObject* g = object_of(self)->grad;
  return Py_NewRef(g ? g : Py_None);
}
int set_grad(PyObject* self, PyObject* value, void*) {
  auto* o = object_of(self);
  if (value && value != Py_None && !is_tensor(value)) {
    PyErr_Format(PyExc_TypeError, "grad must be a Tensor or None, got %s", Py_TYPE(value)->tp_name);
    return -1;
  }
  Py_XSETREF(o->grad, value && value != Py_None ? Py_NewRef(value) : nullptr);
  return 0;
}

template <class F>
PyObject* getter(PyObject* self, F&& f) {
  return guarded([&] { return f(unwrap(self)); });
}
PyObject* get_shape(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return nb::cast(t.shape()).release().ptr(); });
}
PyObject* get_dtype(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return dtype_object(t.dtype()).release().ptr(); });
}
PyObject* get_device(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return nb::cast(t.device()).release().ptr(); });
}
PyObject* get_ndim(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return PyLong_FromLong(t.rank()); });
}
PyObject* get_requires_grad(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return PyBool_FromLong(t.requires_grad()); });
}
int set_requires_grad(PyObject* self, PyObject* value, void*) {
  int on = value ? PyObject_IsTrue(value) : 0;
  if (on < 0) return -1;
  return guarded([&] {
    require_grad(object_of(self), on != 0);
    return Py_NewRef(Py_None);
  })
             ? 0
             : -1;
}
PyObject* get_is_leaf(PyObject* self, void*) {
  return getter(self, [](const Tensor& t) { return PyBool_FromLong(!t.requires_grad() || !t.node()->op); });
}

PyGetSetDef properties[] = {
    {"grad", get_grad, set_grad, "The gradient that backward() gathered, or None.", nullptr},
    {"shape", get_shape, nullptr, "Extents, as a tuple.", nullptr},
    {"dtype", get_dtype, nullptr, "The element type.", nullptr},
    {"device", get_device, nullptr, "Where the elements lie: \"cpu\", \"cuda:0\" or \"null\".", nullptr},
    {"ndim", get_ndim, nullptr, "The number of dimensions.", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad, "Whether backward() reaches this tensor.", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "Whether it is no result of a differentiable op.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {{"_extra", T_OBJECT, offsetof(TensorObject, extra), 0, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weakrefs), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

}  // namespace

PyTypeObject* the_tensor_type = nullptr;

void make_tensor_type(nb::module_& m) {
  waiting_.next = waiting_.previous = &waiting_;
  std::vector<PyType_Slot> slots = {
      {Py_tp_new, reinterpret_cast<void*>(make_new)},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
      {Py_tp_getset, properties},
      {Py_tp_members, members},
      {Py_tp_doc, const_cast<char*>("A lazy n-dimensional array: ops record, and values are computed when looked at.")},
  };
  add_number_slots(slots);
  add_index_slots(slots);
  add_buffer_slots(slots);
  slots.push_back({0, nullptr});
  PyType_Spec spec = {"deepseek.Tensor", sizeof(TensorObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                      slots.data()};
  the_tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!the_tensor_type) throw nb::python_error();
  m.attr("Tensor") = nb::borrow(reinterpret_cast<PyObject*>(the_tensor_type));
}

const Tensor& unwrap(TensorObject* o) {
  if (o->view) {
    const Tensor& base = unwrap(o->view->base);
    if (o->view->version != o->view->base->version) {
      replace(o, o->view->take(base));
      o->view->version = o->view->base->version;
      ++o->version;
    }
  }
  return o->tensor;
}

PyObject* wrap(Tensor t, PyTypeObject* type) {
  bool waits = !t.evaluated();
  // What reads memory that others may write to must not wait.
  if (waits)
    for (const Tensor& input : t.node()->inputs)
      if (writes_through(input)) {
        t.eval();
        waits = false;
        break;
      }
  TensorObject* o = allocate(type ? type : the_tensor_type, std::move(t));
  if (waits) {
    link(o);
    count(o->tensor);
  }
  return reinterpret_cast<PyObject*>(o);
}

PyObject* wrap_view(TensorObject* base, Tensor t, std::function<Tensor(const Tensor&)> take,
                    std::function<Tensor(const Tensor&, const Tensor&)> write) {
  PyObject* o = wrap(std::move(t));
  Py_INCREF(reinterpret_cast<PyObject*>(base));
  object_of(o)->view = new View{base, std::move(take), std::move(write), base->version};
  return o;
}

void assign(TensorObject* o, const Tensor& value, const char* op) {
  const Tensor now = unwrap(o);
  if (value.shape() != now.shape()) fail(op, "in place: the result ", value.type(), " does not fit into ", now.type());
  bool grads = !NoGrad::active();
  if (grads && now.requires_grad() && !now.node()->op)
    fail(op, "in place on a leaf that requires a gradient: do it under no_grad()");
  if (grads && o->view && unwrap(o->view->base).requires_grad() && !unwrap(o->view->base).node()->op)
    fail(op, "in place on a view of a leaf that requires a gradient: do it under no_grad()");
  Tensor fresh = value.dtype() == now.dtype() ? value : cast(value, now.dtype());
  if (writes_through(now) && now.node() != fresh.node()) {  // others see this memory: they see the new values
    NoGrad no_grad;
    fresh = overwrite(now, fresh);
  }
  bool leaf = now.requires_grad() && !now.node()->op;
  if (leaf) fresh = fresh.detach().set_requires_grad(true);
  replace(o, std::move(fresh));
  ++o->version;
  if (!o->next && !o->tensor.evaluated()) {
    link(o);
    count(o->tensor);
  }
  if (o->view) {
    View& v = *o->view;
    assign(v.base, v.write(unwrap(v.base), o->tensor), op);
    v.version = v.base->version;
  }
}

void flush(std::vector<Tensor> all) {
  while (waiting_.next != &waiting_) {
    TensorObject* o = waiting_.next;
    unlink(o);
    if (o->tensor.evaluated()) continue;
    if (!o->tensor.requires_grad()) all.push_back(o->tensor);
  }
  waiting_nodes_ = waiting_bytes_ = 0;
  if (!all.empty()) eval(all);
}

void settle(const std::vector<TensorObject*>& objects, std::vector<Tensor> values, const char* op) {
  if (objects.size() != values.size()) fail(op, values.size(), " values for ", objects.size(), " parameters");
  std::vector<TensorObject*> leaves;
  for (size_t i = 0; i < objects.size(); ++i) {
    TensorObject* o = objects[i];
    const Tensor& now = unwrap(o);
    if (values[i].shape() != now.shape() || o->view || writes_through(now) || !now.requires_grad() || now.node()->op) {
      assign(o, values[i], op);
      continue;
    }
    if (values[i].dtype() != now.dtype()) values[i] = cast(values[i], now.dtype());
    forget_leaf(o);
    o->tensor = values[i];
    leaves.push_back(o);
  }
  flush(std::move(values));
  for (TensorObject* o : leaves) {
    require_grad(o, true);
    ++o->version;
  }
}

void set_python_error() {
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const nb::builtin_exception& e) {
    PyErr_SetString(e.type() == nb::exception_type::index_error   ? PyExc_IndexError
                    : e.type() == nb::exception_type::type_error  ? PyExc_TypeError
                    : e.type() == nb::exception_type::value_error ? PyExc_ValueError
                                                                  : PyExc_RuntimeError,
                    e.what());
  } catch (const IndexError& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  } catch (const Error& e) {
    PyErr_SetString(error_type(), e.what());
  } catch (const std::bad_alloc& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

}  // namespace ds::py

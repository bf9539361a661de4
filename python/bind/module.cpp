#include "engine/core/device.h"
#include "engine/lazy/executor.h"
#include "engine/lazy/plan.h"
#include "python/bind/autograd.h"
#include "python/bind/buffer.h"
#include "python/bind/graph.h"
#include "python/bind/ops.h"
#include "python/bind/views.h"

namespace ds::py {
namespace {

PyObject* error_ = nullptr;

void make_error(nb::module_& m) {
  PyObject* bases = PyTuple_Pack(2, PyExc_RuntimeError, PyExc_ValueError);
  error_ = PyErr_NewExceptionWithDoc("deepseek.Error", "What an op says of arguments it cannot take.", bases, nullptr);
  Py_DECREF(bases);
  if (!error_) throw nb::python_error();
  m.attr("Error") = nb::borrow(error_);
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const IndexError& e) {
      PyErr_SetString(PyExc_IndexError, e.what());
    } catch (const Error& e) {
      PyErr_SetString(error_, e.what());
    }
  });
}

void bind_runtime(nb::module_& m) {
  m.def("eval", [](std::vector<Tensor> ts) { eval(ts); });
  m.def("flush", [](std::vector<Tensor> ts) { flush(std::move(ts)); });
  m.def("settle", [](std::vector<nb::object> objects, std::vector<Tensor> values, const char* op) {
    std::vector<TensorObject*> pointers;
    for (nb::object& o : objects) pointers.push_back(object_of(o.ptr()));
    settle(pointers, std::move(values), op);
  });
  m.def("evaluated", [](const Tensor& t) { return t.evaluated(); });
  m.def("set_num_threads", set_threads);
  m.def("get_num_threads", threads);
  m.def("memory", [](Device d) {
    auto s = backend(d).pool().stats();
    nb::dict out;
    out["in_use"] = s.in_use, out["peak"] = s.peak, out["reserved"] = s.reserved;
    return out;
  });
  m.def("executor_stats", [] {
    auto s = executor_stats();
    nb::dict out;
    out["evaluations"] = s.evaluations, out["singles"] = s.singles, out["plans"] = s.plans, out["nodes"] = s.nodes,
    out["steps"] = s.steps;
    return out;
  });
  m.def("assign",
        [](nb::handle self, const Tensor& value, const char* op) { assign(object_of(self.ptr()), value, op); });
  m.def(
      "rebind", [](nb::handle self, const Tensor& value) { replace(object_of(self.ptr()), value); },
      "Another value for this object, whatever its shape: no view follows.");
  m.def("subclass", [](nb::handle type, const Tensor& t) {
    return nb::steal(wrap(t, reinterpret_cast<PyTypeObject*>(type.ptr())));
  });
  m.def("require_grad", [](nb::handle self, bool on) { require_grad(object_of(self.ptr()), on); });
  m.def("to_device", [](const Tensor& t, Device d) { return to_device(t, d); });
  m.def("is_view", [](nb::handle self) { return object_of(self.ptr())->view != nullptr; });
  m.def("version", [](nb::handle self) {
    unwrap(self.ptr());
    return object_of(self.ptr())->version;
  });
}

}  // namespace

PyObject* error_type() { return error_; }

}  // namespace ds::py

NB_MODULE(_C, m) {
  using namespace ds::py;
  nb::set_leak_warnings(false);  // dtypes live as long as the process
  make_error(m);
  bind_types(m);
  make_tensor_type(m);
  bind_buffers(m);
  bind_autograd(m);
  bind_ops(m);
  bind_index_ops(m);
  bind_linalg_ops(m);
  bind_views(m);
  bind_graph(m);
  bind_runtime(m);
}

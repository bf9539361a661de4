// deepseek._comm: the collectives over memory that Python holds. Nothing here knows of tensors, so that importing
// deepseek does not load a transport.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "engine/comm/communicator.h"

namespace nb = nanobind;

namespace ds::py {
namespace {

using comm::Communicator;

// The contiguous memory of an object with Python's buffer protocol, for as long as this lives.
class Memory {
 public:
  Memory(nb::handle object, bool writable) {
    if (PyObject_GetBuffer(object.ptr(), &view_, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) != 0)
      throw nb::python_error();
  }
  ~Memory() { PyBuffer_Release(&view_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const { return view_.buf; }
  size_t bytes() const { return static_cast<size_t>(view_.len); }
  size_t count(DType t) const { return bytes() / size_of(t); }

 private:
  Py_buffer view_;
};

DType dtype_named(const std::string& name) {
  for (int i = 0; i < kDTypes; ++i)
    if (name == name_of(static_cast<DType>(i))) return static_cast<DType>(i);
  throw nb::value_error(("[distributed] no dtype is called " + name).c_str());
}

comm::ReduceOp op_named(const std::string& name) {
  if (name == "sum") return comm::ReduceOp::sum;
  if (name == "max") return comm::ReduceOp::max;
  if (name == "min") return comm::ReduceOp::min;
  throw nb::value_error(("[distributed] the operation \"" + name + "\" is none of sum, max, min").c_str());
}

void check_parts(const char* op, const Memory& whole, const Memory& part, const Communicator& c) {
  if (whole.bytes() == part.bytes() * static_cast<size_t>(c.size())) return;
  throw nb::value_error((std::string("[") + op + "] " + std::to_string(whole.bytes()) + " bytes are not " +
                         std::to_string(c.size()) + " parts of " + std::to_string(part.bytes()))
                            .c_str());
}

void all_reduce(Communicator& c, nb::handle data, const std::string& dtype, const std::string& op) {
  Memory memory(data, true);
  DType t = dtype_named(dtype);
  comm::ReduceOp o = op_named(op);
  nb::gil_scoped_release release;
  c.all_reduce(memory.data(), memory.count(t), t, o);
}

void reduce_scatter(Communicator& c, nb::handle out, nb::handle in, const std::string& dtype, const std::string& op) {
  Memory to(out, true), from(in, false);
  check_parts("reduce_scatter", from, to, c);
  DType t = dtype_named(dtype);
  comm::ReduceOp o = op_named(op);
  nb::gil_scoped_release release;
  c.reduce_scatter(to.data(), from.data(), to.count(t), t, o);
}

void all_gather(Communicator& c, nb::handle out, nb::handle in) {
  Memory to(out, true), from(in, false);
  check_parts("all_gather", to, from, c);
  nb::gil_scoped_release release;
  c.all_gather(to.data(), from.data(), from.bytes(), DType::u8);
}

void broadcast(Communicator& c, nb::handle data, int source) {
  Memory memory(data, true);
  nb::gil_scoped_release release;
  c.broadcast(memory.data(), memory.bytes(), DType::u8, source);
}

void send(Communicator& c, nb::handle data, int peer, uint32_t tag) {
  Memory memory(data, false);
  nb::gil_scoped_release release;
  c.send(memory.data(), memory.bytes(), peer, tag);
}

void receive(Communicator& c, nb::handle data, int peer, uint32_t tag) {
  Memory memory(data, true);
  nb::gil_scoped_release release;
  c.receive(memory.data(), memory.bytes(), peer, tag);
}

// Shared memory where the transport has it; a collective over it copies nothing.
class SharedBuffer {
 public:
  SharedBuffer(Communicator& c, size_t bytes) : buffer_(c.allocate(bytes)), bytes_(bytes) {}
  int fill(PyObject* self, Py_buffer* view, int flags) {
    return PyBuffer_FillInfo(view, self, buffer_->data(), static_cast<Py_ssize_t>(bytes_), 0, flags);
  }

 private:
  std::shared_ptr<comm::Buffer> buffer_;
  size_t bytes_;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  return nb::inst_ptr<SharedBuffer>(self)->fill(self, view, flags);
}

PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

std::unique_ptr<Communicator> connect(comm::Endpoint& endpoint, int rank, const std::vector<nb::bytes>& addresses,
                                      double seconds) {
  std::vector<std::string> all;
  for (const nb::bytes& a : addresses) all.emplace_back(a.c_str(), a.size());
  nb::gil_scoped_release release;
  return endpoint.connect(rank, all, seconds);
}

}  // namespace
}  // namespace ds::py

NB_MODULE(_comm, m) {
  using namespace ds::py;
  nb::exception<ds::comm::CommError>(m, "CommError", PyExc_ConnectionError);
  nb::class_<ds::comm::Endpoint>(m, "Endpoint")
      .def_prop_ro("address",
                   [](const ds::comm::Endpoint& e) {
                     std::string a = e.address();
                     return nb::bytes(a.data(), a.size());
                   })
      .def("connect", connect, nb::arg("rank"), nb::arg("addresses"), nb::arg("seconds"));
  m.def("endpoint", [](const std::string& transport) { return ds::comm::make_endpoint(transport); });
  nb::class_<SharedBuffer>(m, "SharedBuffer", nb::type_slots(buffer_slots));
  nb::class_<Communicator>(m, "Communicator")
      .def_prop_ro("rank", &Communicator::rank)
      .def_prop_ro("size", &Communicator::size)
      .def_prop_ro("transport", [](const Communicator& c) { return std::string(c.transport()); })
      .def(
          "allocate", [](Communicator& c, size_t bytes) { return new SharedBuffer(c, bytes); },
          nb::rv_policy::take_ownership)
      .def("all_reduce", all_reduce, nb::arg("data"), nb::arg("dtype"), nb::arg("op"))
      .def("reduce_scatter", reduce_scatter)
      .def("all_gather", all_gather)
      .def("broadcast", broadcast)
      .def("send", send)
      .def("receive", receive)
      .def("barrier", &Communicator::barrier, nb::call_guard<nb::gil_scoped_release>())
      .def("abort", &Communicator::abort);
}

#include "python/bind/index.h"

#include <optional>

#include "engine/ops/functions.h"
#include "engine/ops/view.h"
#include "python/bind/buffer.h"

namespace ds::py {
namespace {

// One entry of a key.
struct Item {
  enum class Kind : uint8_t { integer, slice, new_axis, index } kind;
  int64_t start = 0, count = 0, step = 1;  // integer: start; slice
  Tensor index = {};                       // int64
};

using Key = std::vector<Item>;

// A mask's true positions, one int64 tensor a dimension of it.
std::vector<Tensor> positions(const Tensor& mask) {
  std::vector<uint8_t> values(static_cast<size_t>(mask.numel()));
  mask.copy_to_host(values.data());
  const Shape& shape = mask.shape();
  std::vector<std::vector<int64_t>> at(shape.rank());
  Shape strides = contiguous_strides(shape);
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    if (!values[i]) continue;
    for (int d = 0; d < shape.rank(); ++d) at[d].push_back(i / strides[d] % shape[d]);
  }
  std::vector<Tensor> out;
  for (auto& a : at)
    out.push_back(Tensor::from<int64_t>(std::span<const int64_t>(a), {static_cast<int64_t>(a.size())}, mask.device()));
  return out;
}

int64_t to_integer(PyObject* o) {
  PyObject* index = PyNumber_Index(o);
  if (!index) throw nb::python_error();
  int64_t v = PyLong_AsLongLong(index);
  Py_DECREF(index);
  if (v == -1 && PyErr_Occurred()) throw nb::python_error();
  return v;
}

bool is_plain_integer(PyObject* o) { return PyLong_Check(o) && !PyBool_Check(o); }

// Sequences and arrays in a key are index tensors.
Tensor to_index_tensor(PyObject* o) {
  if (is_tensor(o)) return unwrap(o);
  if (Tensor t = from_array_like(o, {})) return t;
  nb::object made = nb::module_::import_("deepseek").attr("_index_tensor")(nb::handle(o));
  return unwrap(made.ptr());
}

class Parser {
 public:
  explicit Parser(const Shape& shape) : shape_(shape) {}

  Key parse(PyObject* key) {
    std::vector<PyObject*> entries;
    if (PyTuple_Check(key))
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) entries.push_back(PyTuple_GET_ITEM(key, i));
    else
      entries.push_back(key);
    int consumed = 0, ellipses = 0;
    for (PyObject* e : entries) {
      if (e == Py_Ellipsis)
        ++ellipses;
      else
        consumed += dims_of(e);
    }
    if (ellipses > 1) throw nb::index_error("an index can only have a single ellipsis ('...')");
    if (consumed > shape_.rank())
      fail_index("getitem", "too many indices: the tensor has ", shape_.rank(), " dimensions, ", consumed,
                 " were indexed");
    for (PyObject* e : entries) {
      if (e == Py_Ellipsis)
        for (int i = consumed; i < shape_.rank(); ++i) whole();
      else
        add(e);
    }
    while (dim_ < shape_.rank()) whole();
    return std::move(key_);
  }

 private:
  static int dims_of(PyObject* e) {
    if (e == Py_None) return 0;
    if (PyBool_Check(e)) return 0;
    if (is_plain_integer(e) || PySlice_Check(e)) return 1;
    if (is_tensor(e) && unwrap(e).dtype() == DType::boolean) return unwrap(e).rank();
    if (!is_tensor(e) && nb::hasattr(nb::handle(e), "dtype") && nb::hasattr(nb::handle(e), "__array_interface__")) {
      Tensor t = to_index_tensor(e);
      return t.dtype() == DType::boolean ? t.rank() : 1;
    }
    return 1;
  }
  void whole() { key_.push_back({Item::Kind::slice, 0, shape_[dim_], 1}), ++dim_; }

  void add(PyObject* e) {
    if (e == Py_None) {
      key_.push_back({Item::Kind::new_axis});
    } else if (is_plain_integer(e)) {
      integer(to_integer(e));
    } else if (PySlice_Check(e)) {
      slice(e);
    } else if (PyBool_Check(e)) {
      std::vector<int64_t> at(e == Py_True ? 1 : 0, 0);
      key_.push_back({Item::Kind::new_axis});
      key_.back().kind = Item::Kind::index;
      key_.back().count = -1;  // of a dimension that is added for it
      key_.back().index = Tensor::from<int64_t>(std::span<const int64_t>(at), {static_cast<int64_t>(at.size())});
    } else {
      tensor(to_index_tensor(e));
    }
  }

  void integer(int64_t i) {
    int64_t n = shape_[dim_];
    if (i < -n || i >= n)
      fail_index("getitem", "index ", i, " is out of bounds for dimension ", dim_, " of extent ", n);
    key_.push_back({Item::Kind::integer, i < 0 ? i + n : i, 1, 1});
    ++dim_;
  }

  void slice(PyObject* e) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(e, &start, &stop, &step) < 0) throw nb::python_error();
    Py_ssize_t count = PySlice_AdjustIndices(shape_[dim_], &start, &stop, step);
    key_.push_back({Item::Kind::slice, start, count, step});
    ++dim_;
  }

  void tensor(const Tensor& t) {
    if (t.dtype() == DType::boolean) {
      for (int d = 0; d < t.rank(); ++d)
        if (t.shape()[d] != shape_[dim_ + d])
          fail_index("getitem", "the mask ", t.type(), " does not fit dimension ", dim_ + d, " of extent ",
                     shape_[dim_ + d]);
      if (t.rank() == 0) {
        std::vector<int64_t> at(t.item<bool>() ? 1 : 0, 0);
        key_.push_back({Item::Kind::index, 0, -1, 1,
                        Tensor::from<int64_t>(std::span<const int64_t>(at), {static_cast<int64_t>(at.size())})});
        return;
      }
      for (Tensor& p : positions(t)) key_.push_back({Item::Kind::index, 0, 0, 1, std::move(p)}), ++dim_;
      return;
    }
    if (is_floating(t.dtype()) || is_complex(t.dtype()))
      fail_index("getitem", "tensors used as indices must be integer or bool, got ", t.type());
    if (t.rank() == 0 && t.evaluated()) return integer(cast(t, DType::i64).item<int64_t>());
    key_.push_back({Item::Kind::index, 0, 0, 1, cast(t, DType::i64)});
    ++dim_;
  }

  const Shape& shape_;
  Key key_;
  int dim_ = 0;
};

bool is_basic(const Key& key) {
  for (const Item& i : key)
    if (i.kind == Item::Kind::index) return false;
  return true;
}

// Slices and integers; the others are kept whole. Integers keep a dimension of extent 1.
Tensor take_box(const Tensor& x, const Key& key) {
  std::vector<int64_t> starts, counts, steps;
  bool whole = true;
  for (const Item& i : key) {
    if (i.kind == Item::Kind::new_axis || i.count == -1) continue;
    int64_t extent = x.shape()[static_cast<int>(starts.size())];
    bool all = i.kind == Item::Kind::index;
    starts.push_back(all ? 0 : i.start);
    counts.push_back(all ? extent : i.count);
    steps.push_back(all ? 1 : i.step);
    whole &= counts.back() == extent && steps.back() == 1;
  }
  return whole ? x : slice_box(x, starts, counts, steps);
}

// The shape of the result of a basic key.
std::vector<int64_t> basic_shape(const Key& key) {
  std::vector<int64_t> shape;
  for (const Item& i : key) {
    if (i.kind == Item::Kind::new_axis) shape.push_back(1);
    if (i.kind == Item::Kind::slice) shape.push_back(i.count);
  }
  return shape;
}

Tensor take_basic(const Tensor& x, const Key& key) {
  Tensor t = take_box(x, key);
  bool reshapes = false;
  for (const Item& i : key) reshapes |= i.kind != Item::Kind::slice;
  return reshapes ? reshape(t, basic_shape(key)) : t;
}

// x with the part that a basic key reads replaced; value broadcasts to that part.
Tensor write_basic(const Tensor& x, const Key& key, const Tensor& value) {
  Shape part{std::span<const int64_t>(basic_shape(key))};
  std::vector<int64_t> starts, counts, steps;
  for (const Item& i : key) {
    if (i.kind == Item::Kind::new_axis) continue;
    starts.push_back(i.start);
    counts.push_back(i.count);
    steps.push_back(i.step);
  }
  Tensor v = value;
  while (v.rank() > part.rank() && v.shape()[0] == 1) v = squeeze(v, 0);
  return slice_update(x, reshape(broadcast_to(cast(v, x.dtype()), part), counts), starts, counts, steps);
}

// Where the indexed dimensions are, gathered in front: NumPy's rule puts their common shape where they stood if they
// stand side by side, else first.
struct Advanced {
  Tensor index;                // into the flattened indexed dimensions, of their common shape
  Tensor box;                  // x with slices and integers taken, indexed dimensions first and flattened
  Shape common, rest;          // of the indexed part; the others' extents, in order
  std::vector<int64_t> order;  // of x's dimensions, indexed ones first
  size_t place = 0;            // of the common shape among the others
};

Tensor wrapped_index(const Tensor& index, int64_t extent) {
  Tensor low = less(index, scalar(0, DType::i64)), fixed = where(low, index + static_cast<double>(extent), index);
  Tensor bad = logical_or(less(fixed, scalar(0, DType::i64)),
                          greater_equal(fixed, scalar(static_cast<double>(extent), DType::i64)));
  return where(bad, scalar(4e18, DType::i64), fixed);  // which take refuses, whatever the others are
}

class AdvancedKey {
 public:
  // Slices are taken already; every integer beside an index tensor is one.
  AdvancedKey(Tensor x, const Key& key) : x_(std::move(x)) {
    int d = 0;
    bool gap = false, seen = false;
    std::vector<int64_t> shape;
    for (const Item& i : key) {
      bool indexed = i.kind == Item::Kind::index || i.kind == Item::Kind::integer;
      if (indexed) {
        if (seen && gap) separated_ = true;
        if (!seen) place_ = others_.size();
        seen = true, gap = false;
        index_.push_back(i.kind == Item::Kind::index ? i.index : scalar(0, DType::i64));
        dims_.push_back(d);
        shape.push_back(i.count == -1 || i.kind == Item::Kind::new_axis ? 1 : x_.shape()[source(shape, key)]);
      } else {
        gap = seen;
        others_.push_back(d);
        shape.push_back(i.kind == Item::Kind::new_axis ? 1 : x_.shape()[source(shape, key)]);
      }
      ++d;
    }
    x_ = reshape(x_, shape);
    if (separated_) place_ = 0;
    try {
      for (const Tensor& i : index_) common_ = broadcast_shapes("getitem", common_, i.shape());
    } catch (const Error& e) {
      throw IndexError(e.what());
    }
    for (int64_t o : others_) rest_.push_back(x_.shape()[static_cast<int>(o)]);
  }

  Tensor take() const {
    Tensor out = ds::take(flat(), reshape(broadcast_to(linear(), common_), {common_.numel()}), 0);
    return settle(out);
  }
  // x after writing value (broadcast to what take() gives), with the shape it was given.
  Tensor write(const Tensor& value) const {
    Shape result = result_shape();
    Tensor v = broadcast_to(cast(value, x_.dtype()), result);
    std::vector<int64_t> to_front;  // the common dimensions first
    for (int c = 0; c < common_.rank(); ++c) to_front.push_back(static_cast<int64_t>(place_) + c);
    for (int r = 0; r < result.rank(); ++r)
      if (r < static_cast<int>(place_) || r >= static_cast<int>(place_) + common_.rank()) to_front.push_back(r);
    std::vector<int64_t> rows{common_.numel()};
    rows.insert(rows.end(), rest_.begin(), rest_.end());
    v = reshape(permute(v, to_front), rows);
    Tensor written = index_copy(flat(), 0, reshape(broadcast_to(linear(), common_), {common_.numel()}), v);
    std::vector<int64_t> order = this->order(), inverse(order.size()), moved;
    for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<int64_t>(i);
    for (int64_t o : order) moved.push_back(x_.shape()[static_cast<int>(o)]);
    return permute(reshape(written, moved), inverse);
  }
  Shape result_shape() const {
    Shape out;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (i == place_)
        for (int64_t c : common_) out.push_back(c);
      out.push_back(rest_[i]);
    }
    if (place_ >= rest_.size())
      for (int64_t c : common_) out.push_back(c);
    return out;
  }

 private:
  // The dimension of the taken box that the next entry reads.
  static int source(const std::vector<int64_t>& made, const Key& key) {
    int d = 0;
    for (size_t k = 0; k < made.size(); ++k) d += !(key[k].kind == Item::Kind::new_axis || key[k].count == -1);
    return d;
  }
  std::vector<int64_t> order() const {
    std::vector<int64_t> order = dims_;
    order.insert(order.end(), others_.begin(), others_.end());
    return order;
  }
  Tensor flat() const {
    int64_t rows = 1;
    for (int64_t d : dims_) rows *= x_.shape()[static_cast<int>(d)];
    std::vector<int64_t> shape{rows};
    shape.insert(shape.end(), rest_.begin(), rest_.end());
    return reshape(permute(x_, order()), shape);
  }
  Tensor linear() const {
    if (index_.size() == 1) return index_[0];
    Tensor at;
    for (size_t i = 0; i < index_.size(); ++i) {
      int64_t extent = x_.shape()[static_cast<int>(dims_[i])];
      Tensor index = wrapped_index(index_[i], extent);
      at = at ? at * static_cast<double>(extent) + index : index;
    }
    return at;
  }
  Tensor settle(const Tensor& taken) const {
    std::vector<int64_t> shape(common_.begin(), common_.end());
    shape.insert(shape.end(), rest_.begin(), rest_.end());
    Tensor t = reshape(taken, shape);
    std::vector<int64_t> dims;
    int c = common_.rank();
    for (size_t i = 0; i <= rest_.size(); ++i) {
      if (i == place_)
        for (int k = 0; k < c; ++k) dims.push_back(k);
      if (i < rest_.size()) dims.push_back(c + static_cast<int64_t>(i));
    }
    return permute(t, dims);
  }

  Tensor x_;
  std::vector<Tensor> index_;
  std::vector<int64_t> dims_, others_, rest_;
  Shape common_;
  size_t place_ = 0;
  bool separated_ = false;
};

Tensor take_key(const Tensor& x, const Key& key) {
  return is_basic(key) ? take_basic(x, key) : AdvancedKey(take_box(x, key), key).take();
}

Tensor write_key(const Tensor& x, const Key& key, const Tensor& value) {
  if (is_basic(key)) return write_basic(x, key, value);
  Key box;  // what the slices read, whole
  for (const Item& i : key) {
    if (i.kind == Item::Kind::new_axis || i.count == -1) continue;
    box.push_back(i);
    if (i.kind == Item::Kind::index)
      box.back() = {Item::Kind::slice, 0, x.shape()[static_cast<int>(box.size()) - 1], 1};
  }
  Tensor part = take_box(x, key);
  Tensor written = reshape(AdvancedKey(part, key).write(value), {part.shape().begin(), part.shape().end()});
  for (Item& i : box)
    if (i.kind == Item::Kind::integer) i = {Item::Kind::slice, i.start, 1, 1};
  return write_basic(x, box, written);
}

PyObject* get(PyObject* self, PyObject* key) {
  return guarded([&] {
    const Tensor& x = unwrap(self);
    Key k = Parser(x.shape()).parse(key);
    Tensor t = take_key(x, k);
    if (!is_basic(k)) return wrap(t);
    return wrap_view(
        object_of(self), t, [k](const Tensor& base) { return take_basic(base, k); },
        [k](const Tensor& base, const Tensor& value) { return write_basic(base, k, value); });
  });
}

int set(PyObject* self, PyObject* key, PyObject* value) {
  PyObject* ok = guarded([&]() -> PyObject* {
    if (!value) throw nb::type_error("elements of a tensor cannot be deleted");
    const Tensor x = unwrap(self);
    Tensor v = operand(value, x);
    if (!v) v = unwrap(nb::module_::import_("deepseek").attr("asarray")(nb::handle(value)).ptr());
    assign(object_of(self), write_key(x, Parser(x.shape()).parse(key), v), "setitem");
    return Py_NewRef(Py_None);
  });
  Py_XDECREF(ok);
  return ok ? 0 : -1;
}

Py_ssize_t length(PyObject* self) {
  Py_ssize_t n = -1;
  PyObject* ok = guarded([&]() -> PyObject* {
    const Shape& s = unwrap(self).shape();
    if (s.rank() == 0) throw nb::type_error("len() of a 0-d tensor");
    n = s[0];
    return Py_NewRef(Py_None);
  });
  Py_XDECREF(ok);
  return n;
}

}  // namespace

void add_index_slots(std::vector<PyType_Slot>& slots) {
  slots.push_back({Py_mp_subscript, reinterpret_cast<void*>(get)});
  slots.push_back({Py_mp_ass_subscript, reinterpret_cast<void*>(set)});
  slots.push_back({Py_mp_length, reinterpret_cast<void*>(length)});
}

}  // namespace ds::py

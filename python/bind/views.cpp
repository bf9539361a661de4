#include "python/bind/views.h"

#include "engine/ops/functions.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

using Dims = std::vector<int64_t>;

Dims dims_of(const Shape& s) { return {s.begin(), s.end()}; }

// A view that is undone by another shape.
nb::object reshaped(nb::handle self, Dims shape) {
  const Tensor& x = unwrap(self.ptr());
  auto take = [shape](const Tensor& base) { return reshape(base, shape); };
  auto write = [](const Tensor& base, const Tensor& value) { return reshape(value, dims_of(base.shape())); };
  return nb::steal(wrap_view(object_of(self.ptr()), take(x), take, write));
}

nb::object permuted(nb::handle self, Dims dims) {
  const Tensor& x = unwrap(self.ptr());
  Tensor t = permute(x, dims);
  Dims inverse(dims.size());
  for (size_t i = 0; i < dims.size(); ++i)
    inverse[static_cast<size_t>(normalize_dim("permute", dims[i], x.rank()))] = static_cast<int64_t>(i);
  return nb::steal(wrap_view(
      object_of(self.ptr()), t, [dims](const Tensor& base) { return permute(base, dims); },
      [inverse](const Tensor&, const Tensor& value) { return permute(value, inverse); }));
}

nb::object flattened(nb::handle self, int64_t from, int64_t to) {
  const Shape& s = unwrap(self.ptr()).shape();
  if (s.rank() == 0) return reshaped(self, {1});
  int a = normalize_dim("flatten", from, s.rank()), b = normalize_dim("flatten", to, s.rank());
  if (a > b) fail("flatten", "start_dim ", from, " comes after end_dim ", to);
  Dims shape;
  for (int i = 0; i < s.rank(); ++i) {
    if (i > a && i <= b)
      shape.back() *= s[i];
    else
      shape.push_back(s[i]);
  }
  return reshaped(self, shape);
}

nb::object squeezed(nb::handle self, std::optional<Dims> dims) {
  const Shape& s = unwrap(self.ptr()).shape();
  std::vector<bool> drop(s.rank(), !dims);
  if (dims)
    for (int64_t d : *dims) drop[normalize_dim("squeeze", d, s.rank())] = true;
  Dims shape;
  for (int i = 0; i < s.rank(); ++i)
    if (!(drop[i] && s[i] == 1)) shape.push_back(s[i]);
  return reshaped(self, shape);
}

nb::object unsqueezed(nb::handle self, int64_t dim) {
  const Shape& s = unwrap(self.ptr()).shape();
  Dims shape = dims_of(s);
  shape.insert(shape.begin() + normalize_dim("unsqueeze", dim, s.rank() + 1), 1);
  return reshaped(self, shape);
}

nb::object transposed(nb::handle self, int64_t a, int64_t b) {
  int rank = unwrap(self.ptr()).rank();
  Dims dims(rank);
  for (int i = 0; i < rank; ++i) dims[i] = i;
  if (rank == 0 && (a == 0 || a == -1) && (b == 0 || b == -1)) return permuted(self, {});
  std::swap(dims[normalize_dim("transpose", a, rank)], dims[normalize_dim("transpose", b, rank)]);
  return permuted(self, dims);
}

// A view by functions of Python: take(base) and write(base, value), which give the view and the new base.
nb::object taken(nb::handle self, nb::callable take, nb::callable write) {
  auto call = [](const nb::callable& f, auto&&... args) {
    nb::object out = f(nb::steal(wrap(args))...);
    return unwrap(out.ptr());
  };
  Tensor t = call(take, unwrap(self.ptr()));
  return nb::steal(wrap_view(
      object_of(self.ptr()), t, [call, take](const Tensor& base) { return call(take, base); },
      [call, write](const Tensor& base, const Tensor& value) { return call(write, base, value); }));
}

}  // namespace

void bind_views(nb::module_& m) {
  m.def("view_reshape", reshaped);
  m.def("view_permute", permuted);
  m.def("view_flatten", flattened);
  m.def("view_squeeze", squeezed, nb::arg("self"), nb::arg("dims").none());
  m.def("view_unsqueeze", unsqueezed);
  m.def("view_transpose", transposed);
  m.def("view", taken);
}

}  // namespace ds::py

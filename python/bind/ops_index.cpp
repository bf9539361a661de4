// Reading, writing, ordering and searching by index; the functions of elements that are no row of the op table.
#include <nanobind/stl/optional.h>

#include "engine/ops/functions.h"
#include "python/bind/ops.h"
#include "python/bind/types.h"

namespace ds::py {
namespace {

using nb::arg;
using Dims = std::vector<int64_t>;

nb::object pair_of(const Ranked& r) { return nb::make_tuple(r.values, r.indices); }

ScatterReduce reduction_named(const std::string& name) {
  for (auto [text, value] : {std::pair{"sum", ScatterReduce::sum},
                             {"prod", ScatterReduce::prod},
                             {"mean", ScatterReduce::mean},
                             {"amax", ScatterReduce::amax},
                             {"amin", ScatterReduce::amin}})
    if (name == text) return value;
  fail("scatter_reduce", "reduce must be sum, prod, mean, amax or amin, got ", name);
}

Interpolation interpolation_named(const std::string& name) {
  for (auto [text, value] : {std::pair{"linear", Interpolation::linear},
                             {"lower", Interpolation::lower},
                             {"higher", Interpolation::higher},
                             {"midpoint", Interpolation::midpoint},
                             {"nearest", Interpolation::nearest}})
    if (name == text) return value;
  fail("quantile", "interpolation must be linear, lower, higher, midpoint or nearest, got ", name);
}

std::vector<Tensor> indices_of(const std::vector<std::optional<Tensor>>& indices) {
  std::vector<Tensor> out;
  for (auto& i : indices) out.push_back(i ? *i : Tensor());
  return out;
}

void bind_writes(nb::module_& m) {
  m.def("slice_box",
        [](const Tensor& x, Dims start, Dims count, Dims step) { return slice_box(x, start, count, step); });
  m.def("slice_update", [](const Tensor& x, const Tensor& v, Dims start, Dims count, Dims step) {
    return slice_update(x, v, start, count, step);
  });
  m.def("flip", [](const Tensor& x, Dims dims) { return flip(x, dims); });
  m.def("roll", [](const Tensor& x, int64_t shift, int64_t dim) { return roll(x, shift, dim); });
  m.def("index_copy", index_copy);
  m.def("index_add", index_add);
  m.def("index_put", [](const Tensor& x, std::vector<std::optional<Tensor>> i, const Tensor& v, bool accumulate) {
    return index_put(x, indices_of(i), v, accumulate);
  });
  m.def("scatter", scatter);
  m.def("scatter_reduce",
        [](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& v, const std::string& reduce,
           bool include_self) { return scatter_reduce(x, dim, index, v, reduction_named(reduce), include_self); });
}

void bind_order(nb::module_& m) {
  m.def("cumsum", cumsum);
  m.def("cumprod", cumprod);
  m.def("logcumsumexp", logcumsumexp);
  m.def("cummax", [](const Tensor& x, int64_t dim) { return pair_of(cummax(x, dim)); });
  m.def("cummin", [](const Tensor& x, int64_t dim) { return pair_of(cummin(x, dim)); });
  m.def("sort", [](const Tensor& x, int64_t dim, bool descending) { return pair_of(sort(x, dim, descending)); });
  m.def("argsort", argsort);
  m.def("topk",
        [](const Tensor& x, int64_t k, int64_t dim, bool largest) { return pair_of(topk(x, k, dim, largest)); });
  m.def("kthvalue",
        [](const Tensor& x, int64_t k, int64_t dim, bool keep) { return pair_of(kthvalue(x, k, dim, keep)); });
  m.def("median", [](const Tensor& x, int64_t dim, bool keep) { return pair_of(median(x, dim, keep)); });
  m.def("quantile", [](const Tensor& x, double q, int64_t dim, bool keep, const std::string& interpolation) {
    return quantile(x, q, dim, keep, interpolation_named(interpolation));
  });
  m.def("nonzero", nonzero);
  m.def("unique", [](const Tensor& x) {
    Unique u = unique(x);
    return nb::make_tuple(u.values, u.inverse, u.counts, u.first);
  });
  m.def("searchsorted", searchsorted);
  m.def(
      "bincount",
      [](const Tensor& x, std::optional<Tensor> weights, int64_t minlength) {
        return bincount(x, weights ? *weights : Tensor(), minlength);
      },
      arg("x"), arg("weights").none(), arg("minlength"));
  m.def("histc", histc);
}

void bind_math(nb::module_& m) {
#define BIND(name) m.def(#name, [](const Tensor& x) { return ds::name(x); })
  BIND(log1p);
  BIND(expm1);
  BIND(exp2);
  BIND(log2);
  BIND(log10);
  BIND(tan);
  BIND(asin);
  BIND(acos);
  BIND(atan);
  BIND(sinh);
  BIND(cosh);
  BIND(asinh);
  BIND(acosh);
  BIND(atanh);
  BIND(erfc);
  BIND(erfinv);
  BIND(lgamma);
  BIND(digamma);
  BIND(i0);
  BIND(i0e);
  BIND(i1);
  BIND(i1e);
  BIND(sinc);
  BIND(reciprocal);
  BIND(trunc);
  BIND(isnan);
  BIND(isinf);
  BIND(isfinite);
  BIND(signbit);
  BIND(bitwise_not);
  BIND(real);
  BIND(imag);
  BIND(conj);
  BIND(angle);
#undef BIND
#define BIND(name) m.def(#name, [](const Tensor& a, const Tensor& b) { return ds::name(a, b); })
  BIND(atan2);
  BIND(hypot);
  BIND(logaddexp);
  BIND(nextafter);
  BIND(copysign);
  BIND(xlogy);
  BIND(fmin);
  BIND(fmax);
  BIND(fmod);
  BIND(remainder);
  BIND(floor_divide);
  BIND(bitwise_and);
  BIND(bitwise_or);
  BIND(bitwise_xor);
  BIND(shift_left);
  BIND(shift_right);
  BIND(complex);
#undef BIND
  m.def("polygamma", polygamma);
}

}  // namespace

void bind_index_ops(nb::module_& m) {
  bind_writes(m);
  bind_order(m);
  bind_math(m);
}

}  // namespace ds::py

#include "python/bind/compat.h"
#include "engine/ops/view.h"
namespace ds {
Tensor flip(const Tensor& x, const std::vector<int64_t>& dims) {
  Tensor t = x;
  for (int64_t d : dims) t = take(t, static_cast<double>(t.size(d) - 1) - arange(0, static_cast<double>(t.size(d))), d);
  return t;
}
Tensor slice_update(const Tensor& base, const Tensor& value, const std::vector<int64_t>& starts,
                    const std::vector<int64_t>& steps) {
  Tensor v = value, m = full(value.shape(), 1, DType::boolean);
  for (int d = 0; d < base.rank(); ++d) {
    Shape s = v.shape();
    s[d] = base.shape()[d];
    v = apply1<SlicePut>({v}, s, d, starts[d], steps[d]);
    m = apply1<SlicePut>({contiguous(m)}, s, d, starts[d], steps[d]);
  }
  return where(m, v, base);
}
Tensor index_put(const Tensor& base, int64_t dim, const Tensor& index, const Tensor& v) {
  (void)dim;
  (void)index;
  (void)v;
  return base;
}
}  // namespace ds

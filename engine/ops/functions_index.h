// Reading, writing, ordering and searching by index; engine/ops/functions.h includes this.
#pragma once
#include <optional>
#include <vector>

#include "engine/lazy/tensor.h"

namespace ds {

// ---- boxes. One entry a dimension; steps may be negative, never 0. Throws Error when an element is outside.
// A view: x[start : start + count * step : step] in each dimension.
Tensor slice_box(const Tensor& x, const std::vector<int64_t>& start, const std::vector<int64_t>& count,
                 const std::vector<int64_t>& step);
// x with that box replaced by `value`, which is broadcast and cast; in x's memory where nobody else looks.
Tensor slice_update(const Tensor& x, const Tensor& value, const std::vector<int64_t>& start,
                    const std::vector<int64_t>& count, const std::vector<int64_t>& step);
Tensor flip(const Tensor& x, const std::vector<int64_t>& dims);  // a view
Tensor roll(const Tensor& x, int64_t shift, int64_t dim);

// ---- writes by index: int64, negative counts from the end, out of range is an IndexError when the result is computed
// whole slices: x with slice index[i] along dim set to, or changed by, slice i of value
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
// x[indices[0], indices[1], ...] over the leading dimensions; indices broadcast against each other, an empty Tensor is
// a whole dimension. Reading gives (index shape..., dimensions left); writing broadcasts value to that.
Tensor index(const Tensor& x, const std::vector<Tensor>& indices);
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& value, bool accumulate = false);
// element by element, as torch.scatter: the index has value's shape and at most x's extents but along dim
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
enum class ScatterReduce : uint8_t { sum, prod, mean, amax, amin };
// include_self false: what x held at an element that is written counts for nothing.
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value, ScatterReduce,
                      bool include_self = true);

// ---- running results along dim
Tensor cumsum(const Tensor& x, int64_t dim);   // integers and bool: int64
Tensor cumprod(const Tensor& x, int64_t dim);  // integers and bool: int64
Tensor logcumsumexp(const Tensor& x, int64_t dim);
struct Ranked {
  Tensor values, indices;  // indices: int64
};
Ranked cummax(const Tensor& x, int64_t dim);  // where: the last of equals
Ranked cummin(const Tensor& x, int64_t dim);

// ---- order. NaN counts as the greatest.
Ranked sort(const Tensor& x, int64_t dim = -1, bool descending = false);  // stable
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
Ranked topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
Ranked kthvalue(const Tensor& x, int64_t k, int64_t dim = -1, bool keepdim = false);  // k counts from 1
Ranked median(const Tensor& x, int64_t dim, bool keepdim = false);                    // the lower of two; NaN if any is
enum class Interpolation : uint8_t { linear, lower, higher, midpoint, nearest };
// q in [0, 1]; NaN where the line has one.
Tensor quantile(const Tensor& x, double q, int64_t dim, bool keepdim = false, Interpolation = Interpolation::linear);

// ---- results whose shape depends on the values: these compute at once, on the host
Tensor nonzero(const Tensor& x);  // int64 (count, rank), row-major
struct Unique {
  Tensor values, inverse, counts, first;  // inverse of x's shape; first: where each stands first in the flat x
};
Unique unique(const Tensor& x);  // of the elements, ascending
// int64, of values' shape: where each would go into the ascending 1-d `sorted`; right: behind equals.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);
// Counts (or sums of weights) of the non-negative integers in x; at least `minlength` long.
Tensor bincount(const Tensor& x, const Tensor& weights = {}, int64_t minlength = 0);
// Counts of x in `bins` equal ranges over [low, high], the last one closed; low == high: those of x.
Tensor histc(const Tensor& x, int64_t bins, double low = 0, double high = 0);

}  // namespace ds

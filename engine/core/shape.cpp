#include "engine/core/shape.h"

#include "engine/core/error.h"

namespace ds {

Shape::Shape(std::span<const int64_t> dims) {
  for (int64_t d : dims) push_back(d);
}

void Shape::push_back(int64_t d) {
  if (rank_ == kMaxDims) fail("shape", "more than ", kMaxDims, " dimensions");
  if (d < 0) fail("shape", "negative extent ", d, " in dimension ", rank_);
  dims_[rank_++] = d;
}

std::string Shape::str() const {
  std::string s = "(";
  for (int i = 0; i < rank_; ++i) s += (i ? "," : "") + std::to_string(dims_[i]);
  return s + (rank_ == 1 ? ",)" : ")");
}

std::ostream& operator<<(std::ostream& out, const Shape& s) { return out << s.str(); }

int normalize_dim(const char* op, int64_t dim, int rank) {
  int64_t d = dim < 0 ? dim + rank : dim;
  if (d < 0 || d >= rank) fail_index(op, "dimension ", dim, " is out of range for a tensor of rank ", rank);
  return static_cast<int>(d);
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  int rank = std::max(a.rank(), b.rank());
  Shape out;
  for (int i = 0; i < rank; ++i) {
    int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1) fail(op, "shapes do not broadcast: got ", a, " and ", b);
    out.push_back(da == 1 ? db : da);
  }
  return out;
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

}  // namespace ds

// Extents of a tensor: up to eight dimensions, held inline.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

namespace ds {

inline constexpr int kMaxDims = 8;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);  // throws Error on more than kMaxDims or a negative extent

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  int64_t& operator[](int i) { return dims_[i]; }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }
  void push_back(int64_t d);  // throws Error when full
  bool operator==(const Shape& o) const { return std::equal(begin(), end(), o.begin(), o.end()); }
  std::string str() const;  // (64,784)

 private:
  int rank_ = 0;
  std::array<int64_t, kMaxDims> dims_{};
};

std::ostream& operator<<(std::ostream&, const Shape&);

// A dimension counted from the front, or from the back when negative. Throws Error naming op, value and rank.
int normalize_dim(const char* op, int64_t dim, int rank);
// NumPy's rule: trailing dimensions equal or 1. Throws Error naming both shapes.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);
// Row-major strides in elements.
Shape contiguous_strides(const Shape& shape);

}  // namespace ds

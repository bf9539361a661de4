// What is known of a tensor before it has a value, and the value once it has one.
#pragma once
#include "engine/core/shape.h"
#include "engine/core/small_vector.h"
#include "engine/core/storage.h"
#include "kernels/dtype.h"

namespace ds {

struct Type {
  DType dtype;
  Shape shape;
  bool operator==(const Type&) const = default;
  int64_t bytes() const { return shape.numel() * static_cast<int64_t>(size_of(dtype)); }
};
std::ostream& operator<<(std::ostream&, const Type&);  // float32(64,784)
using Types = SmallVector<Type, 1>;

// Elements of a storage, seen through strides (in elements; 0 repeats one).
struct Value {
  Ref<Storage> storage;
  int64_t offset = 0;
  Shape strides;

  explicit operator bool() const { return static_cast<bool>(storage); }
  void* data(DType t) const { return static_cast<char*>(storage->data()) + offset * static_cast<int64_t>(size_of(t)); }
  bool contiguous(const Shape& shape) const;
};

}  // namespace ds

// The user's handle: a lazy, functional array. An op checks shapes at once and appends a node; values are computed when
// something looks at them.
#pragma once
#include <span>
#include <vector>

#include "engine/core/error.h"
#include "engine/lazy/type.h"

namespace ds {

struct Node;

class Tensor {
 public:
  Tensor();  // no tensor
  Tensor(Ref<Node> node, int output);
  Tensor(const Tensor&);
  Tensor(Tensor&&) noexcept;
  Tensor& operator=(const Tensor&);
  Tensor& operator=(Tensor&&) noexcept;
  ~Tensor();

  // A copy of host data, row-major. Throws Error when the count does not match the shape.
  template <class T>
  static Tensor from(std::span<const T> data, const Shape& shape, Device device = {}) {
    return from_bytes(data.data(), data.size(), dtype_of<T>, shape, device);
  }
  template <class T>
  static Tensor from(std::initializer_list<T> data, const Shape& shape, Device device = {}) {
    return from<T>(std::span<const T>(data.begin(), data.size()), shape, device);
  }
  // Memory that stands elsewhere and is not copied; row-major.
  static Tensor wrap(Ref<Storage> storage, int64_t offset, DType dtype, const Shape& shape);

  explicit operator bool() const { return static_cast<bool>(node_); }
  const Type& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int64_t size(int64_t dim) const;
  int rank() const { return shape().rank(); }
  int64_t numel() const { return shape().numel(); }
  Device device() const;

  bool requires_grad() const;
  Tensor& set_requires_grad(bool on);  // leaves only: throws Error on the result of an op
  Tensor detach() const;               // the same value, outside of autograd

  bool evaluated() const;
  const Tensor& eval() const;  // computes this one
  const Value& value() const;  // evaluates; the strided view
  const void* data() const;    // evaluates; contiguous elements on the device. Throws Error when strided
  template <class T>
  std::vector<T> to_vector() const {  // evaluates; row-major, throws Error when T is not the dtype
    if (dtype_of<T> != dtype()) fail("to_vector", "asked for ", name_of(dtype_of<T>), ", the tensor is ", type());
    std::vector<T> out(numel());
    copy_to_host(out.data());
    return out;
  }
  template <class T>
  T item() const {  // the only element
    if (numel() != 1) fail("item", "one element is needed, the tensor is ", type());
    T out;
    if (dtype_of<T> != dtype()) fail("item", "asked for ", name_of(dtype_of<T>), ", the tensor is ", type());
    copy_to_host(&out);
    return out;
  }
  void copy_to_host(void* out) const;  // numel() elements, row-major

  Node* node() const { return node_.get(); }
  const Ref<Node>& ref() const { return node_; }
  int output() const { return output_; }

 private:
  static Tensor from_bytes(const void* data, size_t count, DType, const Shape&, Device);
  Ref<Node> node_;
  int output_ = 0;
};

using Tensors = SmallVector<Tensor, 3>;

// Computes all of them in one plan; outputs that other handles hold are kept too.
void eval(std::span<const Tensor> tensors);

// While one of these lives, results do not require gradients.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  static bool active();
  static bool set(bool on);  // for this thread until it is set again; gives what it was

 private:
  bool before_;
};

}  // namespace ds

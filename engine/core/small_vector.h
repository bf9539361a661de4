// A vector whose first N elements lie in itself: the lists of a graph are short, and need no memory of their own.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace ds {

template <class T, size_t N>
class SmallVector {
 public:
  using value_type = T;

  SmallVector() = default;
  SmallVector(std::initializer_list<T> list) : SmallVector(list.begin(), list.end()) {}
  template <std::input_iterator I>
  SmallVector(I begin, I end) {
    reserve(static_cast<size_t>(std::distance(begin, end)));
    for (; begin != end; ++begin) emplace_back(*begin);
  }
  SmallVector(std::vector<T> list)  // NOLINT(google-explicit-constructor)
      : SmallVector(std::move_iterator(list.begin()), std::move_iterator(list.end())) {}
  explicit SmallVector(size_t n) { resize(n); }
  SmallVector(const SmallVector& o) : SmallVector(o.begin(), o.end()) {}
  SmallVector(SmallVector&& o) noexcept { take(o); }
  SmallVector& operator=(SmallVector o) noexcept {
    release();
    take(o);
    return *this;
  }
  ~SmallVector() { release(); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void push_back(T x) { emplace_back(std::move(x)); }
  template <class... A>
  T& emplace_back(A&&... a) {
    if (size_ == capacity_) reserve(2 * size_t{capacity_});
    T* place = std::construct_at(data_ + size_, std::forward<A>(a)...);
    ++size_;
    return *place;
  }
  void pop_back() { std::destroy_at(data_ + --size_); }
  void clear() {
    std::destroy(begin(), end());
    size_ = 0;
  }
  void resize(size_t n) {
    reserve(n);
    while (size_ > n) pop_back();
    while (size_ < n) emplace_back();
  }
  void reserve(size_t n) {
    if (n <= capacity_) return;
    T* to = std::allocator<T>().allocate(n);
    std::uninitialized_move(begin(), end(), to);
    std::destroy(begin(), end());
    free_heap();
    data_ = to;
    capacity_ = static_cast<uint32_t>(n);
  }

 private:
  T* own() { return reinterpret_cast<T*>(own_); }
  void free_heap() {
    if (data_ != own()) std::allocator<T>().deallocate(data_, capacity_);
  }
  void release() {
    std::destroy(begin(), end());
    free_heap();
  }
  // Whatever this held is gone already.
  void take(SmallVector& o) noexcept {
    size_ = o.size_;
    if (o.data_ == o.own()) {
      data_ = own();
      capacity_ = N;
      std::uninitialized_move(o.begin(), o.end(), data_);
      std::destroy(o.begin(), o.end());
    } else {
      data_ = std::exchange(o.data_, o.own());
      capacity_ = std::exchange(o.capacity_, N);
    }
    o.size_ = 0;
  }

  T* data_ = own();
  uint32_t size_ = 0, capacity_ = N;
  alignas(T) std::byte own_[N * sizeof(T)];
};

}  // namespace ds

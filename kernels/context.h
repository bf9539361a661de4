// What a kernel is given by the layer above: threads to run on and scratch to work in. It owns neither.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ds::kernels {

// A reference to a callable that outlives the call; no allocation.
template <class Signature>
class FunctionRef;
template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT(google-explicit-constructor)
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, A... a) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(o))(std::forward<A>(a)...);
        }) {}
  R operator()(A... a) const { return call_(object_, std::forward<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

// Results must not depend on threads(): split over outputs, or over a number of parts fixed by the extents.
class Context {
 public:
  virtual ~Context() = default;
  virtual int threads() const = 0;
  // Calls body(begin, end) over disjoint ranges that cover [0, n), each at least `grain` long but the last.
  // Runs inline when n <= grain or threads() == 1.
  virtual void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) = 0;
  // Scratch of the calling kernel, 64-byte aligned, valid until it returns; one call a kernel.
  virtual void* scratch(size_t bytes) = 0;
  virtual void* stream() { return nullptr; }  // cudaStream_t on cuda
};

}  // namespace ds::kernels

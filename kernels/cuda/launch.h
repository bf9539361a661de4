// How a kernel starts on a GPU. The emulation in tests/cuda has a file of this name that runs it on the host instead.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/context.h"

namespace ds::kernels::cuda_detail {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("[cuda] ") + what + " failed: " + cudaGetErrorString(error));
}

struct Grid {
  int64_t x, y = 1, z = 1;
};
struct Threads {
  unsigned x, y = 1;
  Threads(unsigned n, unsigned m = 1) : x(n), y(m) {}  // NOLINT(google-explicit-constructor)
};

// Queues the kernel on the context's stream; an empty grid is no launch. `shared` are bytes of dynamic_shared().
template <class... P, class... A>
void launch(Context& ctx, void (*kernel)(P...), Grid grid, Threads threads, size_t shared, const A&... arguments) {
  if (grid.x * grid.y * grid.z == 0) return;
  if (grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535) throw std::runtime_error("[cuda] a launch is too large");
  auto stream = static_cast<cudaStream_t>(ctx.stream());
  if (shared > 48 << 10) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
          "asking for shared memory");
  }
  dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  kernel<<<blocks, dim3(threads.x, threads.y), shared, stream>>>(arguments...);
  check(cudaGetLastError(), "a launch");
}

inline void zero(Context& ctx, void* data, size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(data, 0, bytes, static_cast<cudaStream_t>(ctx.stream())), "zeroing memory");
}

// The dynamic shared memory of a block.
__device__ inline void* dynamic_shared() {
  extern __shared__ uint4 dynamic_shared_memory[];
  return dynamic_shared_memory;
}

}  // namespace ds::kernels::cuda_detail

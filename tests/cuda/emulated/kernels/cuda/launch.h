// Takes the place of kernels/cuda/launch.h: the same kernels, compiled for the host, run under tests/cuda/emulation.h.
#pragma once
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernels/context.h"
#include "tests/cuda/emulation.h"

namespace ds::kernels::cuda_detail {

struct Grid {
  int64_t x, y = 1, z = 1;
};
struct Threads {
  unsigned x, y = 1;
  Threads(unsigned n, unsigned m = 1) : x(n), y(m) {}  // NOLINT(google-explicit-constructor)
};

template <class... P, class... A>
void launch(Context&, void (*kernel)(P...), Grid grid, Threads threads, size_t shared, const A&... arguments) {
  if (grid.x * grid.y * grid.z == 0) return;
  if (grid.x < 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535 || threads.x * threads.y > 1024) {
    throw std::runtime_error("[emulation] a GPU would refuse this launch");
  }
  emulation::run({static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)},
                 {threads.x, threads.y, 1}, shared, [&] { kernel(arguments...); });
}

inline void zero(Context&, void* data, size_t bytes) { std::memset(data, 0, bytes); }

inline void* dynamic_shared() { return emulation::dynamic_shared(); }

}  // namespace ds::kernels::cuda_detail

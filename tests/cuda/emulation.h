// Just enough of CUDA's language to run this project's kernels on the host: blocks one after another, the threads of a
// block as fibers that give way at barriers and shuffles. It is stricter than a GPU: a barrier that some threads of the
// block never reach, and a warp operation that some lanes of the warp never reach, are errors. Threads run in an order
// that a test chooses, so a missing barrier shows as a result that depends on the order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

struct uint3_ {
  unsigned x, y, z;
};

namespace emulation {

enum class Order { forward, backward };
void set_order(Order order);

// Runs the body once a thread. Throws std::runtime_error naming the fault when the threads cannot all finish.
void run(uint3_ grid, uint3_ block, size_t shared, const std::function<void()>& body);

struct Thread {
  uint3_ thread, block, block_dim, grid_dim;
};
const Thread& current();
void* dynamic_shared();

int barrier_or(int value);  // __syncthreads_or; __syncthreads drops the result
// Every lane of the warp shows a value; returns that of `lane` (own when it is outside the warp).
uint64_t exchange(uint64_t value, unsigned lane);
uint32_t ballot(bool value);

template <class T>
T shuffle(T value, unsigned lane) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(bits, lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned lane() {
  const Thread& t = current();
  return (t.thread.y * t.block_dim.x + t.thread.x) % 32;
}

}  // namespace emulation

#define __global__
#define __device__
#define __grid_constant__
#define __shared__ static  // blocks run one after another
#define threadIdx (::emulation::current().thread)
#define blockIdx (::emulation::current().block)
#define blockDim (::emulation::current().block_dim)
#define gridDim (::emulation::current().grid_dim)

inline void __syncthreads() { ::emulation::barrier_or(0); }
inline int __syncthreads_or(int value) { return ::emulation::barrier_or(value); }
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta) {
  return ::emulation::shuffle(value, ::emulation::lane() + delta);
}
inline unsigned __ballot_sync(unsigned, bool value) { return ::emulation::ballot(value); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }

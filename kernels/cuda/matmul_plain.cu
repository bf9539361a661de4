// A thread owns an element of C, one chain in the order of k, so the bits are the CPU's. Tiles of A and B pass through
// shared memory.
#include "kernels/cuda/matmul_plain.h"

#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr unsigned kTile = 16;

template <class T>
__global__ void multiply(const __grid_constant__ Matmul p, int64_t row_tiles, int64_t column_tiles) {
  __shared__ T left[kTile][kTile], right[kTile][kTile];
  int64_t batch = blockIdx.x / column_tiles / row_tiles;
  int64_t i0 = blockIdx.x / column_tiles % row_tiles * kTile, j0 = blockIdx.x % column_tiles * kTile;
  auto* a = static_cast<const T*>(p.a) + batch * p.stride_a;
  auto* b = static_cast<const T*>(p.b) + batch * p.stride_b;
  unsigned y = threadIdx.y, x = threadIdx.x;
  int64_t i = i0 + y, j = j0 + x;
  bool inside = i < p.m && j < p.n;
  T* c = static_cast<T*>(p.c) + batch * p.stride_c + i * p.ldc + j;
  T sum = inside && p.accumulate ? *c : T(0);
  for (int64_t k0 = 0; k0 < p.k; k0 += kTile) {
    int64_t ka = k0 + x, kb = k0 + y;
    left[y][x] = i < p.m && ka < p.k ? a[p.trans_a ? ka * p.lda + i : i * p.lda + ka] : T(0);
    right[y][x] = j < p.n && kb < p.k ? b[p.trans_b ? j * p.ldb + kb : kb * p.ldb + j] : T(0);
    __syncthreads();
    int steps = p.k - k0 < kTile ? static_cast<int>(p.k - k0) : static_cast<int>(kTile);
    for (int q = 0; q < steps; ++q) sum = scalar::add(sum, scalar::mul(left[y][q], right[q][x]));
    __syncthreads();
  }
  if (!inside) return;
  if (p.bias != nullptr) sum = scalar::add(sum, static_cast<const T*>(p.bias)[j]);
  if constexpr (!scalar::is_complex<T>) {
    if (p.relu) sum = scalar::relu(sum);
  }
  *c = sum;
}

}  // namespace

void product_plain(Context& ctx, const Matmul& p) {
  visit(p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (scalar::is_complex<T> || scalar::Integer<T>) {
      int64_t rows = ceil_div(p.m, kTile), columns = ceil_div(p.n, kTile);
      launch(ctx, multiply<T>, Grid{p.batch * rows * columns}, Threads{kTile, kTile}, 0, p, rows, columns);
    } else {
      not_supported("matmul", p.type);
    }
  });
}

}  // namespace ds::kernels::cuda_detail

#include "kernels/cuda/matmul_epilogue.h"

#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

template <class T>
__global__ void finish(T* c, const T* bias, int64_t count, int64_t m, int64_t n, int64_t ldc, int64_t stride, bool relu,
                       bool clear) {
  int64_t t = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (t >= count) return;
  int64_t j = t % n, row = t / n;
  T& out = c[row / m * stride + row % m * ldc + j];
  Compute<T> x = clear ? Compute<T>(0) : load(out);
  if (bias != nullptr) x += load(bias[j]);
  out = store<T>(relu ? scalar::relu(x) : x);
}

}  // namespace

void finish_product(Context& ctx, const Matmul& p, bool clear) {
  visit_floating("matmul", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t count = p.batch * p.m * p.n;
    launch(ctx, finish<T>, Grid{ceil_div(count, kBlock)}, kBlock, 0, static_cast<T*>(p.c),
           static_cast<const T*>(p.bias), count, p.m, p.n, p.ldc, p.stride_c, p.relu, clear);
  });
}

}  // namespace ds::kernels::cuda_detail

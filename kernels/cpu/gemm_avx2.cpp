#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/simd.h"

namespace ds::kernels::cpu_detail {

// 4 x 3 or 6 x 2 vectors of C in 16 registers; a panel of 24 columns of f32 takes 30 KiB of L1.
template <class T, class S>
const GemmKernels<T, S>& gemm_avx2() {
  static constexpr GemmKernels<T, S> kernels = make_gemm_kernels<Simd<T>, S, 6, 4>(320);
  return kernels;
}
template const GemmKernels<float, float>& gemm_avx2();
template const GemmKernels<double, double>& gemm_avx2();
template const GemmKernels<float, bfloat16>& gemm_avx2();
template const GemmKernels<float, float16>& gemm_avx2();

}  // namespace ds::kernels::cpu_detail

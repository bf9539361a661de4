#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/simd512.h"

namespace ds::kernels::cpu_detail {

// 8 x 3 vectors of C in 32 registers.
template <class T, class S>
const GemmKernels<T, S>& gemm_avx512() {
  static constexpr GemmKernels<T, S> kernels = make_gemm_kernels<Simd512<T>, S, 8, 8>(320);
  return kernels;
}
template const GemmKernels<float, float>& gemm_avx512();
template const GemmKernels<double, double>& gemm_avx512();
template const GemmKernels<float, bfloat16>& gemm_avx512();
template const GemmKernels<float, float16>& gemm_avx512();

}  // namespace ds::kernels::cpu_detail

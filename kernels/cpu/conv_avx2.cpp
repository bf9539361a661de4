#include "kernels/cpu/conv_kernel.h"
#include "kernels/cpu/simd.h"

namespace ds::kernels::cpu_detail {

// Tiles of 4 filters by 3 vectors of positions; of the filters' gradient, 4 filters by 3 taps.
template <class T>
const ConvKernels<T>& conv_avx2() {
  static constexpr ConvKernels<T> kernels = make_conv_kernels<Simd<T>, 4, 3>();
  return kernels;
}
template const ConvKernels<float>& conv_avx2();
template const ConvKernels<double>& conv_avx2();

}  // namespace ds::kernels::cpu_detail

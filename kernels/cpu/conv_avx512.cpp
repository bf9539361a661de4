#include "kernels/cpu/conv_kernel.h"
#include "kernels/cpu/simd512.h"

namespace ds::kernels::cpu_detail {

// Tiles of 8 filters by 3 vectors of positions; of the filters' gradient, 4 pairs of filters by 6 taps.
template <class T>
const ConvKernels<T>& conv_avx512() {
  static constexpr ConvKernels<T> kernels = make_conv_kernels<Simd512<T>, 8, 6>();
  return kernels;
}
template const ConvKernels<float>& conv_avx512();
template const ConvKernels<double>& conv_avx512();

}  // namespace ds::kernels::cpu_detail

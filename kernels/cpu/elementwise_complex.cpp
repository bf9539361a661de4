// The block loops of the complex dtypes.
#include "kernels/cpu/elementwise_row.h"

namespace ds::kernels::cpu_detail {

template Loop loop_of<complex64>(Ew);
template Loop loop_of<complex128>(Ew);

}  // namespace ds::kernels::cpu_detail

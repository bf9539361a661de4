// The block loops of the floating dtypes.
#include "kernels/cpu/elementwise_row.h"

namespace ds::kernels::cpu_detail {

template Loop loop_of<float>(Ew);
template Loop loop_of<double>(Ew);
template Loop loop_of<bfloat16>(Ew);
template Loop loop_of<float16>(Ew);

}  // namespace ds::kernels::cpu_detail

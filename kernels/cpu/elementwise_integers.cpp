// The block loops of the integer dtypes and of bool.
#include "kernels/cpu/elementwise_row.h"

namespace ds::kernels::cpu_detail {

template Loop loop_of<int8_t>(Ew);
template Loop loop_of<int16_t>(Ew);
template Loop loop_of<int32_t>(Ew);
template Loop loop_of<int64_t>(Ew);
template Loop loop_of<uint8_t>(Ew);
template Loop loop_of<uint16_t>(Ew);
template Loop loop_of<uint32_t>(Ew);
template Loop loop_of<uint64_t>(Ew);
template Loop loop_of<bool>(Ew);

}  // namespace ds::kernels::cpu_detail

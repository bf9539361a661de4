// The product of the types that the library has none of.
#pragma once
#include "kernels/table.h"

namespace ds::kernels::cuda_detail {

// Integers, wrapping around, and complex numbers. Throws NotSupported for the others.
void product_plain(Context&, const Matmul&);

}  // namespace ds::kernels::cuda_detail

// The matrix product of the types that have no vector kernel of their own.
#pragma once
#include "kernels/table.h"

namespace ds::kernels::cpu_detail {

// Integers, wrapping around, and complex numbers. Throws NotSupported for the others.
void matmul_plain(Context&, const Matmul&);

}  // namespace ds::kernels::cpu_detail

// The epilogue of a product as a kernel of its own, for where the library has none.
#pragma once
#include "kernels/table.h"

namespace ds::kernels::cuda_detail {

// c = act((clear ? 0 : c) + bias), for each batch of c.
void finish_product(Context&, const Matmul&, bool clear);

}  // namespace ds::kernels::cuda_detail

#include "kernels/table.h"

#include "kernels/cuda/kernels.h"

namespace ds::kernels {

const Table& cuda() {
  static constexpr Table table = {
      .name = "cuda",
#define DS_KERNEL(entry) .entry = cuda_detail::entry,
#include "kernels/table.def"
  };
  return table;
}

}  // namespace ds::kernels

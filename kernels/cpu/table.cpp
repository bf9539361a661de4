#include "kernels/table.h"

#include "kernels/cpu/kernels.h"

namespace ds::kernels {

const Table& cpu() {
  static constexpr Table table = {
      .name = "cpu",
#define DS_KERNEL(entry) .entry = cpu_detail::entry,
#include "kernels/table.def"
  };
  return table;
}

}  // namespace ds::kernels

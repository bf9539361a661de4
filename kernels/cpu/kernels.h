// The functions of this backend's table. kernels/table.h says what each does and which file holds it.
#pragma once
#include <type_traits>

#include "kernels/table.h"

namespace ds::kernels::cpu_detail {

#define DS_KERNEL(entry) std::remove_pointer_t<decltype(Table::entry)> entry;
#include "kernels/table.def"

}  // namespace ds::kernels::cpu_detail

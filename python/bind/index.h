// x[key] and x[key] = value, with NumPy's rules.
#pragma once
#include <vector>

#include "python/bind/tensor.h"

namespace ds::py {

void add_index_slots(std::vector<PyType_Slot>& slots);

}  // namespace ds::py

// Arithmetic, comparison and truth of Tensors, as slots of their type.
#pragma once
#include <vector>

#include "python/bind/tensor.h"

namespace ds::py {

void add_number_slots(std::vector<PyType_Slot>& slots);

}  // namespace ds::py

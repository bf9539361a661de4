// What makes an op besides its inputs, by the names of the functions' arguments: for those who write graphs down.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/core/shape.h"
#include "kernels/dtype.h"

namespace ds {

using Attribute = std::variant<int64_t, double, DType, std::string, std::vector<int64_t>>;
using Attributes = std::vector<std::pair<const char*, Attribute>>;

inline std::vector<int64_t> to_list(const Shape& s) { return {s.begin(), s.end()}; }

}  // namespace ds

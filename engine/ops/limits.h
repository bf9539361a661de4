// The least value of a dtype: what a maximum over nothing is.
#pragma once
#include <cmath>

#include "kernels/dtype.h"

namespace ds {

inline double lowest_of(DType t) {
  if (is_floating(t)) return -INFINITY;
  return is_signed(t) ? -std::ldexp(1.0, 8 * static_cast<int>(size_of(t)) - 1) : 0;
}

}  // namespace ds

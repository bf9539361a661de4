// A shape seen from one of its dimensions: (outer, middle, inner).
#pragma once
#include "engine/core/shape.h"

namespace ds {

struct Around {
  int64_t outer = 1, middle = 1, inner = 1;
};

inline Around around(const Shape& s, int dim) {
  Around a;
  for (int i = 0; i < s.rank(); ++i) (i < dim ? a.outer : i > dim ? a.inner : a.middle) *= s[i];
  return a;
}

}  // namespace ds

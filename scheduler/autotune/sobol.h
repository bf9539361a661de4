// Points that fill the unit cube evenly: Sobol's sequence with a digital shift.
#pragma once
#include <array>

#include "scheduler/autotune/space.h"

namespace ds::autotune {

class Sobol {
 public:
  Sobol(int dimensions, uint64_t seed);
  std::vector<double> next();                       // in [0, 1)
  Point point(const Space& space, Random& random);  // the next one, of a space with that many parameters

 private:
  std::vector<std::array<uint32_t, 32>> directions_;
  std::vector<uint32_t> shifts_, state_;
  uint64_t index_ = 0;
};

}  // namespace ds::autotune

// Processor cores this process may run on.
#pragma once
#include <sched.h>

namespace ds::comm {

inline int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace ds::comm

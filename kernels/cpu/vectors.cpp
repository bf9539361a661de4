#include "kernels/cpu/vectors.h"

#include <atomic>

namespace ds::kernels::cpu_detail {
namespace {

std::atomic<Vectors>& in_use() {
  static std::atomic<Vectors> set{widest_vectors()};
  return set;
}

}  // namespace

Vectors widest_vectors() {  // what -march=x86-64-v4 adds; the builtin also asks whether the system saves the registers
  bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512cd");
  return wide ? Vectors::avx512 : Vectors::avx2;
}

Vectors vectors_in_use() { return in_use().load(std::memory_order_relaxed); }
void use_vectors(Vectors set) { in_use().store(set, std::memory_order_relaxed); }

}  // namespace ds::kernels::cpu_detail

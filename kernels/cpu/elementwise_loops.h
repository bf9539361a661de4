// The prebuilt block loops behind the chunk VM: elementwise.def x dtype.
#pragma once
#include <cstdint>

#include "kernels/elementwise.h"

namespace ds::kernels::cpu_detail {

// Blocks hold compute types: a bf16 or f16 block holds floats that are exact values of it.
using Loop = void (*)(void* out, const void* a, const void* b, const void* c, int64_t n);

// Throws NotSupported where the instruction is not defined for the dtype. `operand` is the dtype of operand 0.
Loop find_loop(const EwInstruction& instruction, DType operand);
// Its two sources. Null where the instruction has no loop for operands of T (where: branches of T).
template <class T>
Loop loop_of(Ew op);
Loop cast_loop(DType from, DType to);
int operands_of(Ew op);
int flops_of(Ew op);
const char* name_of(Ew op);

}  // namespace ds::kernels::cpu_detail

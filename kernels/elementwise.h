// A fused elementwise program: the chunk VM's bytecode. A single op is a program of one instruction.
//
// Values live in registers, one per input and one per instruction, each a block of elements that stays in L1. Register
// r < inputs.size() holds input r; register inputs.size() + i holds the result of instruction i. A bf16 instruction
// computes in f32 and rounds its result, so that fusing changes no bit. At most 256 registers.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/dtype.h"

namespace ds::kernels {

enum class Ew : uint8_t {
#define DS_EW(name, operands, flops) name##_,
#include "kernels/elementwise.def"
  cast_,  // operand's dtype -> the instruction's dtype: truncates towards zero, saturates never, bool is != 0
};

struct EwInstruction {
  Ew op;
  DType type;                       // of the result; comparisons read their operands' dtype from the registers
  std::array<uint16_t, 3> operand;  // registers
};

struct EwCode {  // without extents or addresses: cached in the plan
  std::vector<DType> inputs;
  std::vector<EwInstruction> instructions;
  std::vector<uint16_t> outputs;  // registers that are stored; each has its dtype
};

inline constexpr int kMaxRank = 8;

// Where an input lies in the iteration space: strides in elements, 0 where it is broadcast.
struct EwInput {
  const void* data;
  std::array<int64_t, kMaxRank> stride;
};

// The space is already collapsed by the caller (adjacent dimensions merged, extent-1 ones dropped); rank 0 is one
// element. Outputs are contiguous in it. An output may be the same memory as a contiguous input of its dtype size.
struct EwSpace {
  int rank;
  std::array<int64_t, kMaxRank> extent;
};

}  // namespace ds::kernels

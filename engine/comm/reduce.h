// The arithmetic of collectives: one fixed binary tree over the inputs, whoever computes it and on whatever transport.
#pragma once
#include <cstddef>
#include <span>

#include "engine/comm/communicator.h"

namespace ds::comm {

// Combines in[0..n) elementwise in the tree of adjacent pairs, ((0+1)+(2+3))+((4+5)+6), and stores the result to every
// `out`. An output may be the same memory as an input, at the same offset. bf16 is summed in f32 and rounded once, at
// the root of the tree. Integers wrap. max and min hand a NaN on. Throws CommError for bool, which has no sum.
void reduce_tree(DType, ReduceOp, std::span<void* const> out, std::span<const void* const> in, size_t count);

// Whether a partial result can be kept in the dtype itself without changing the bits of the whole tree's result.
bool partial_sums_are_exact(DType, ReduceOp);

const char* name_of(ReduceOp);

}  // namespace ds::comm

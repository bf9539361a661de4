// The part of the graph that an evaluation must run, in a canonical order, and its structural hash.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/lazy/node.h"

namespace ds {

struct Trace {
  std::vector<Node*> nodes;   // unevaluated, inputs before users
  std::vector<Node*> leaves;  // evaluated inputs, in order of first use
  std::vector<uint8_t> keep;  // by node: a root, or held by a handle outside the trace
  uint64_t hash[2] = {0, 0};  // ops, topology, dtypes, ranks, which shapes are equal, which extents are 1,
                              // `keep`; no other extents
};

// Counts uses and marks nodes; the trace is valid until the next one is made. Without its hash.
Trace make_trace(std::span<const Tensor> roots);
void hash_structure(Trace&);

}  // namespace ds

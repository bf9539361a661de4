// The part of the graph that an evaluation must run, in a canonical order, and its structural hash.
#pragma once
#include <bitset>
#include <cstdint>
#include <span>

#include "engine/lazy/node.h"

namespace ds {

struct Trace {
  SmallVector<Node*, 16> nodes;   // unevaluated, inputs before users
  SmallVector<Node*, 16> leaves;  // evaluated inputs, in order of first use
  SmallVector<uint8_t, 16> keep;  // by node: a root, or held by a handle outside the trace
  std::bitset<256> kinds;         // of the nodes
  uint64_t hash[2] = {0, 0};      // ops, topology, dtypes, ranks, which shapes are equal, which extents are 1,
                                  // `keep`; no other extents

  bool has(OpKind k) const { return kinds[static_cast<size_t>(k)]; }
};

// A number that no node is marked with yet, for walks over the graph. Until something is evaluated the marks hold.
uint64_t new_mark();

// Counts uses and marks nodes; the trace is valid until the next one is made. Without its hash.
Trace make_trace(std::span<const Tensor> roots);
void hash_structure(Trace&);

}  // namespace ds

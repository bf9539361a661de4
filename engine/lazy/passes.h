// The passes of make_plan, one file each. Every pass leaves a plan that verify() accepts.
#pragma once
#include "engine/lazy/plan.h"

namespace ds::passes {

// matmul or conv2d, + bias, relu: one step, when nothing else sees what lies between.
void fuse_epilogue(const Trace&, Plan&);
// Neighbouring elementwise nodes over one shape become one program, when no path between them leaves the group.
void fuse_elementwise(const Trace&, Plan&);
// Communication is posted as soon as its inputs are there, and what waits for it comes last.
void order(const Trace&, Plan&);
// Gradients are written straight into the buckets that will be reduced.
void place(const Trace&, Plan&);

// ---- shared by them
Slot slot_of(const Tensor&);
std::vector<std::vector<uint32_t>> users_of(const Trace&);       // by node: the nodes that read it, once an edge
std::vector<uint32_t> step_of(const Trace&, const Plan&);        // by node: its step
void sort_steps(const Trace&, Plan&, bool defer_communication);  // topological, else in program order
void build_program(const Trace&, const std::vector<std::vector<uint32_t>>& users, Step&);

}  // namespace ds::passes

// The way back from what Op::attributes() says to the op: for readers of graphs. Every row of the op table is here but
// communication, which is between the ranks of one run.
#pragma once
#include <string_view>

#include "engine/lazy/op.h"

namespace ds {

// Whether the table has a row of that name, and an op of it can be made.
bool can_make(std::string_view name);

// The op of the row `name` over inputs of these types. Throws Error naming the op and what is wrong with the
// attributes, or with the number of inputs; what else does not fit, infer() finds.
std::unique_ptr<const Op> make_op(std::string_view name, const Given::Map& attributes, std::span<const Type> inputs);

// Appends it, as append() does.
std::vector<Tensor> apply_named(std::string_view name, const Given::Map& attributes, std::vector<Tensor> inputs,
                                Device device = {});

}  // namespace ds

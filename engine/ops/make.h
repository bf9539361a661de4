// The way back from what Op::attributes() says to the op: for readers of graphs. Every row of the op table is here but
// communication, which is between the ranks of one run.
#pragma once
#include <string_view>
#include <vector>

#include "engine/lazy/op.h"

namespace ds {

// A row of the table whose ops can be made.
struct Maker {
  const char* name;
  Category category;
  // Throws Error naming the op and what is wrong with the attributes, or with the number of inputs; what else does not
  // fit, infer() finds.
  Made (*make)(const Given&);

  std::vector<Tensor> append(const Given::Map& attributes, Tensors inputs, Device device = {}) const;
};

// Null when the table has no row of that name, or its ops are between the ranks of one run.
const Maker* find_maker(std::string_view name);

}  // namespace ds

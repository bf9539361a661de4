#include "engine/ops/make.h"

#include <concepts>

#include "engine/autograd/custom.h"
#include "engine/ops/adamw.h"
#include "engine/ops/conv.h"
#include "engine/ops/create.h"
#include "engine/ops/index.h"
#include "engine/ops/linalg.h"
#include "engine/ops/matmul.h"
#include "engine/ops/normalize.h"
#include "engine/ops/reduce.h"
#include "engine/ops/scan.h"
#include "engine/ops/special.h"
#include "engine/ops/update.h"
#include "engine/ops/view.h"

namespace ds {
namespace {

constexpr size_t kOperands[] = {
#define DS_EW(name, operands, flops) operands,
#include "kernels/elementwise.def"
    1,  // cast
};

// A class without make() has no attributes, and is elementwise.
template <class O>
Made make(const Given& g) {
  Made made;
  if constexpr (requires { O::make(g); })
    made = O::make(g);
  else
    made = std::make_unique<O>();
  if constexpr (std::derived_from<O, Elementwise>)
    g.takes(kOperands[static_cast<int>(static_cast<const O&>(*made).code())]);
  return made;
}

struct Row {
  const char* name;
  Made (*make)(const Given&);  // null: communication
};

#define DS_ROW_unary(Class) make<Class>
#define DS_ROW_binary(Class) make<Class>
#define DS_ROW_elementwise(Class) make<Class>
#define DS_ROW_view(Class) make<Class>
#define DS_ROW_constant(Class) make<Class>
#define DS_ROW_compute(Class) make<Class>
#define DS_ROW_random(Class) make<Class>
#define DS_ROW_communication(Class) nullptr
constexpr Row kRows[] = {
#define OP(Class, name, category) {#name, DS_ROW_##category(Class)},
#include "engine/ops/ops.def"
};

const Row* find(std::string_view name) {
  for (const Row& row : kRows)
    if (name == row.name) return &row;
  return nullptr;
}

}  // namespace

bool can_make(std::string_view name) {
  const Row* row = find(name);
  return row && row->make;
}

Made make_op(std::string_view name, const Given::Map& attributes, std::span<const Type> inputs) {
  const Row* row = find(name);
  if (!row) fail("graph", "no op is called \"", name, "\"");
  if (!row->make) fail(row->name, "is between the ranks of one run: it cannot be made from a file");
  return row->make(Given(row->name, attributes, inputs));
}

std::vector<Tensor> apply_named(std::string_view name, const Given::Map& attributes, std::vector<Tensor> inputs,
                                Device device) {
  std::vector<Type> types;
  for (const Tensor& t : inputs) types.push_back(t.type());
  return append(make_op(name, attributes, types), std::move(inputs), device);
}

}  // namespace ds

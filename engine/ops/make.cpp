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

#define DS_ROW_unary(Class) make<Class>
#define DS_ROW_binary(Class) make<Class>
#define DS_ROW_elementwise(Class) make<Class>
#define DS_ROW_view(Class) make<Class>
#define DS_ROW_constant(Class) make<Class>
#define DS_ROW_compute(Class) make<Class>
#define DS_ROW_random(Class) make<Class>
#define DS_ROW_communication(Class) nullptr
constexpr Maker kMakers[] = {
#define OP(Class, name, category) {#name, Category::category, DS_ROW_##category(Class)},
#include "engine/ops/ops.def"
};

}  // namespace

const Maker* find_maker(std::string_view name) {
  for (const Maker& m : kMakers)
    if (name == m.name) return m.make ? &m : nullptr;
  return nullptr;
}

std::vector<Tensor> Maker::append(const Given::Map& attributes, Tensors inputs, Device device) const {
  Types types;
  for (const Tensor& t : inputs) types.push_back(t.type());
  return ds::append(make(Given(name, attributes, types)), std::move(inputs), device);
}

}  // namespace ds

#include "engine/lazy/op.h"

#include <array>

namespace ds {
namespace {

constexpr OpInfo kTable[] = {
#define OP(Class, name, category) {#name, Category::category},
#include "engine/ops/ops.def"
};

}  // namespace

const OpInfo& info_of(OpKind k) { return kTable[static_cast<int>(k)]; }
std::span<const OpInfo> op_table() { return kTable; }

std::vector<Tensor> Op::vjp(std::span<const Tensor>, std::span<const Tensor>, std::span<const Tensor>) const {
  fail(info().name, "has no gradient");
}

Cost Op::cost(std::span<const Type> inputs, std::span<const Type> outputs) const {
  Cost c;
  if (info().category == Category::view) return c;
  for (const Type& t : inputs) c.bytes += static_cast<double>(t.bytes());
  for (const Type& t : outputs) c.bytes += static_cast<double>(t.bytes());
  return c;
}

}  // namespace ds

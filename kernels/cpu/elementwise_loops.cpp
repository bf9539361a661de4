#include "kernels/cpu/elementwise_loops.h"

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int kOperands[] = {
#define DS_EW(name, operands, flops) operands,
#include "kernels/elementwise.def"
    1};
constexpr int kFlops[] = {
#define DS_EW(name, operands, flops) flops,
#include "kernels/elementwise.def"
    1};
constexpr const char* kNames[] = {
#define DS_EW(name, operands, flops) #name,
#include "kernels/elementwise.def"
    "cast"};

}  // namespace

int operands_of(Ew op) { return kOperands[static_cast<int>(op)]; }
int flops_of(Ew op) { return kFlops[static_cast<int>(op)]; }
const char* name_of(Ew op) { return kNames[static_cast<int>(op)]; }

Loop find_loop(const EwInstruction& instruction, DType operand) {
  if (instruction.op == Ew::cast_) return cast_loop(operand, instruction.type);
  DType key = instruction.op == Ew::where_ ? instruction.type : operand;
  Loop loop = visit(key, [&](auto tag) { return loop_of<typename decltype(tag)::type>(instruction.op); });
  if (loop == nullptr) not_supported(name_of(instruction.op), key);
  return loop;
}

}  // namespace ds::kernels::cpu_detail

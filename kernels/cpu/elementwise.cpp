// The chunk VM. The space is walked in blocks that stay in L1; within a block each instruction is one prebuilt loop
// over registers. An operand that already lies in memory as the loop wants it is used in place, and the instruction
// that makes an output writes it there, so a program of one instruction is a plain loop.
#include "kernels/cpu/kernels.h"

#include <array>
#include <cstring>

#include "kernels/cpu/elementwise_loops.h"
#include "kernels/cpu/runs.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int kMaxRegisters = 256;
constexpr int kSlotBytes = 4096;
constexpr int kSlotPitch = kSlotBytes + 192;  // blocks a power of two apart would fight for the same cache sets
constexpr uint16_t kNever = 0xffff;

bool computed_in_f32(DType t) { return t == DType::bf16 || t == DType::f16; }
size_t compute_size(DType t) { return computed_in_f32(t) ? 4 : size_of(t); }

enum class Load : uint8_t {
  in_place,  // contiguous
  periodic,  // contiguous in its trailing dimensions, broadcast along the others: in place, modulo its period
  small,     // the same with a period within a block: unrolled once into a block of its own
  gather,    // anything else: copied block by block
};

struct Input {
  Load load;
  bool convert;  // bf16 or f16 in memory
  int64_t period;
};

// Everything about a call that does not depend on the place in the space.
struct Plan {
  Plan(const EwCode& c, const EwSpace& s, const EwInput* in, void* const* out)  // leaves the arrays untouched
      : code(c), space(s), inputs(in), outputs(out) {}

  const EwCode& code;
  const EwSpace& space;
  const EwInput* inputs;
  void* const* outputs;
  int registers = 0;
  int64_t block = 0;
  int64_t count = 0;
  int slots = 0;
  int64_t cost = 0;
  std::array<Input, kMaxRegisters> input;
  std::array<DType, kMaxRegisters> type;
  std::array<Loop, kMaxRegisters> loop;
  std::array<uint16_t, kMaxRegisters> last_use, slot, direct;  // direct: the output a register is computed into

  int input_count() const { return static_cast<int>(code.inputs.size()); }
};

int64_t trailing_period(const EwSpace& space, const EwInput& in) {
  int64_t dense = 1, d = space.rank - 1;
  for (; d >= 0 && (space.extent[d] == 1 || in.stride[d] == dense); --d) dense *= space.extent[d];
  for (; d >= 0; --d) {
    if (space.extent[d] != 1 && in.stride[d] != 0) return -1;
  }
  return dense;
}

Input classify(const Plan& p, int i) {
  bool convert = computed_in_f32(p.code.inputs[i]);
  int64_t period = trailing_period(p.space, p.inputs[i]);
  if (period < 0) return {Load::gather, convert, 0};
  if (period == p.count) return {Load::in_place, convert, period};
  return {period <= p.block ? Load::small : Load::periodic, convert, period};
}

void find_last_uses(Plan& p) {
  int inputs = p.input_count();
  for (int r = 0; r < p.registers; ++r) p.last_use[r] = static_cast<uint16_t>(r < inputs ? 0 : r - inputs);
  for (size_t k = 0; k < p.code.instructions.size(); ++k) {
    const EwInstruction& ins = p.code.instructions[k];
    for (int j = 0; j < operands_of(ins.op); ++j) p.last_use[ins.operand[j]] = static_cast<uint16_t>(k);
  }
  for (uint16_t r : p.code.outputs) p.last_use[r] = kNever;
}

// Whether instruction k may write its output at once: not if a later one still reads an input lying in that memory.
bool may_write_directly(const Plan& p, int k, int output) {
  if (computed_in_f32(p.type[p.input_count() + k])) return false;
  for (int i = 0; i < p.input_count(); ++i) {
    bool in_memory = p.input[i].load == Load::in_place && !p.input[i].convert;
    if (in_memory && p.inputs[i].data == p.outputs[output] && p.last_use[i] > k) return false;
  }
  return true;
}

void assign_outputs(Plan& p) {
  std::fill_n(p.direct.begin(), p.registers, kNever);
  for (size_t o = p.code.outputs.size(); o-- > 0;) {
    int r = p.code.outputs[o], k = r - p.input_count();
    if (k >= 0 && may_write_directly(p, k, static_cast<int>(o))) p.direct[r] = static_cast<uint16_t>(o);
  }
}

// Gives each register that needs a block one, and takes it back after the register's last use.
void assign_slots(Plan& p) {
  std::array<uint16_t, kMaxRegisters> free_list;
  int free_count = 0;
  auto take = [&] { return free_count > 0 ? free_list[--free_count] : static_cast<uint16_t>(p.slots++); };
  std::fill_n(p.slot.begin(), p.registers, kNever);
  for (int i = 0; i < p.input_count(); ++i) {
    if (p.input[i].load != Load::small) continue;
    p.slot[i] = static_cast<uint16_t>(p.slots);  // two blocks, kept for the whole call
    p.slots += 2;
  }
  for (int i = 0; i < p.input_count(); ++i) {
    bool needed = p.input[i].load == Load::gather || (p.input[i].convert && p.input[i].load != Load::small);
    if (needed) p.slot[i] = take();
  }
  for (size_t k = 0; k < p.code.instructions.size(); ++k) {
    int r = p.input_count() + static_cast<int>(k);
    if (p.direct[r] == kNever) p.slot[r] = take();
    const EwInstruction& ins = p.code.instructions[k];
    for (int j = 0; j < operands_of(ins.op); ++j) {
      int a = ins.operand[j];
      bool kept = a < p.input_count() && p.input[a].load == Load::small;
      bool repeated = (j > 0 && ins.operand[0] == a) || (j > 1 && ins.operand[1] == a);
      if (p.slot[a] != kNever && !kept && !repeated && p.last_use[a] == k) free_list[free_count++] = p.slot[a];
    }
  }
}

void prepare(Plan& p) {
  p.registers = p.input_count() + static_cast<int>(p.code.instructions.size());
  if (p.registers > kMaxRegisters) {
    throw NotSupported("[elementwise] a program has at most 256 registers: got " + std::to_string(p.registers));
  }
  size_t widest = 1;
  for (int r = 0; r < p.registers; ++r) {
    p.type[r] = r < p.input_count() ? p.code.inputs[r] : p.code.instructions[r - p.input_count()].type;
    widest = std::max(widest, compute_size(p.type[r]));
  }
  p.block = kSlotBytes / std::max<size_t>(widest, 4);
  p.count = count_of(p.space);
  for (int i = 0; i < p.input_count(); ++i) p.input[i] = classify(p, i);
  for (size_t k = 0; k < p.code.instructions.size(); ++k) {
    const EwInstruction& ins = p.code.instructions[k];
    p.loop[k] = find_loop(ins, p.type[ins.operand[0]]);
    p.cost += flops_of(ins.op);
  }
  p.cost += 2 * static_cast<int64_t>(p.code.inputs.size() + p.code.outputs.size());
  find_last_uses(p);
  assign_outputs(p);
  assign_slots(p);
}

template <class T>
void copy_run(Compute<T>* out, const T* in, int64_t stride, int64_t n) {
  if (stride == 0) {
    Compute<T> x = load(*in);
    for (int64_t j = 0; j < n; ++j) out[j] = x;
  } else if (stride == 1) {
    for (int64_t j = 0; j < n; ++j) out[j] = load(in[j]);
  } else {
    for (int64_t j = 0; j < n; ++j) out[j] = load(in[j * stride]);
  }
}

template <class T>
void gather_block(const EwSpace& s, const EwInput& in, int64_t i, int64_t n, void* to) {
  auto* out = static_cast<Compute<T>*>(to);
  auto* data = static_cast<const T*>(in.data);
  int64_t stride = in.stride[s.rank - 1];
  walk_runs(s, in.stride.data(), i, n,
            [&](int64_t offset, int64_t done, int64_t run) { copy_run<T>(out + done, data + offset, stride, run); });
}

// One task's walk over [begin, end) of the space.
class Walk {
 public:
  Walk(const Plan& plan, char* slots) : p_(plan), slots_(slots) {
    for (int r = 0; r < p_.registers; ++r) reg_[r] = p_.slot[r] == kNever ? nullptr : slot(r);
    for (int i = 0; i < p_.input_count(); ++i) {
      if (p_.input[i].load == Load::small) unroll(i);
    }
  }

  void run(int64_t begin, int64_t end) {
    bool whole = p_.slots == 0;
    for (int64_t i = begin; i < end;) {
      int64_t n = whole ? end - i : std::min(p_.block, end - i);
      for (int k = 0; k < p_.input_count(); ++k) {
        if (p_.input[k].load == Load::periodic) n = std::min(n, p_.input[k].period - i % p_.input[k].period);
      }
      run_block(i, n);
      i += n;
    }
  }

 private:
  char* slot(int r) const { return slots_ + static_cast<int64_t>(p_.slot[r]) * kSlotPitch; }

  // A small period is repeated over block + period elements: any block's view then is one contiguous piece.
  void unroll(int i) {
    visit(p_.type[i], [&](auto tag) {
      using T = typename decltype(tag)::type;
      auto* out = reinterpret_cast<Compute<T>*>(slot(i));
      int64_t period = p_.input[i].period, filled = period, total = p_.block + period;
      copy_run<T>(out, static_cast<const T*>(p_.inputs[i].data), 1, period);
      for (; filled < total; filled += period) {  // doubles, so that a period of 1 is not a chain of single stores
        period = std::min(filled, total - filled);
        std::copy_n(out, period, out + filled);
      }
    });
  }

  void convert(int k, const char* from, int64_t n) {
    auto* to = reinterpret_cast<float*>(slot(k));
    if (p_.type[k] == DType::bf16) return copy_run<bfloat16>(to, reinterpret_cast<const bfloat16*>(from), 1, n);
    copy_run<float16>(to, reinterpret_cast<const float16*>(from), 1, n);
  }

  void load_input(int k, int64_t i, int64_t n) {
    const Input& in = p_.input[k];
    auto* data = static_cast<char*>(const_cast<void*>(p_.inputs[k].data));
    int64_t size = static_cast<int64_t>(size_of(p_.type[k]));
    switch (in.load) {
      case Load::in_place:
      case Load::periodic: {
        int64_t at = in.load == Load::in_place ? i : i % in.period;
        if (in.convert) return convert(k, data + at * size, n);
        reg_[k] = data + at * size;
        return;
      }
      case Load::small:
        reg_[k] = slot(k) + (i % in.period) * static_cast<int64_t>(compute_size(p_.type[k]));
        return;
      case Load::gather:
        visit(p_.type[k],
              [&](auto tag) { gather_block<typename decltype(tag)::type>(p_.space, p_.inputs[k], i, n, slot(k)); });
    }
  }

  void store_output(int o, int64_t i, int64_t n) {
    int r = p_.code.outputs[o];
    if (p_.direct[r] == o) return;
    int64_t size = static_cast<int64_t>(size_of(p_.type[r]));
    char* out = static_cast<char*>(p_.outputs[o]) + i * size;
    if (!computed_in_f32(p_.type[r])) {
      std::memmove(out, reg_[r], static_cast<size_t>(n * size));
      return;
    }
    auto* to = reinterpret_cast<uint16_t*>(out);
    if (p_.type[r] == DType::bf16) {  // exact values of the dtype already
      auto* from = reinterpret_cast<const uint32_t*>(reg_[r]);
      for (int64_t j = 0; j < n; ++j) to[j] = static_cast<uint16_t>(from[j] >> 16);
    } else {
      auto* from = reinterpret_cast<const float*>(reg_[r]);
      for (int64_t j = 0; j < n; ++j) to[j] = pack_f16(from[j]);
    }
  }

  void run_block(int64_t i, int64_t n) {
    int inputs = p_.input_count();
    for (int k = 0; k < inputs; ++k) load_input(k, i, n);
    for (size_t k = 0; k < p_.code.instructions.size(); ++k) {
      const EwInstruction& ins = p_.code.instructions[k];
      int r = inputs + static_cast<int>(k), operands = operands_of(ins.op);
      if (p_.direct[r] != kNever) {
        reg_[r] = static_cast<char*>(p_.outputs[p_.direct[r]]) + i * static_cast<int64_t>(size_of(p_.type[r]));
      }
      p_.loop[k](reg_[r], reg_[ins.operand[0]], operands > 1 ? reg_[ins.operand[1]] : nullptr,
                 operands > 2 ? reg_[ins.operand[2]] : nullptr, n);
    }
    for (size_t o = 0; o < p_.code.outputs.size(); ++o) store_output(static_cast<int>(o), i, n);
  }

  const Plan& p_;
  char* slots_;
  std::array<char*, kMaxRegisters> reg_;
};

}  // namespace

void elementwise(Context& ctx, const EwCode& code, const EwSpace& space, const EwInput* inputs, void* const* outputs) {
  Plan p(code, space, inputs, outputs);
  prepare(p);
  if (p.count == 0) return;
  int64_t grain = std::max<int64_t>(1024, grain_for(p.cost));
  int64_t tasks = std::clamp<int64_t>(p.count / grain, 1, ctx.threads());
  int64_t share = round_up(ceil_div(p.count, tasks), 64), bytes = int64_t{p.slots} * kSlotPitch;
  auto* slots = static_cast<char*>(p.slots == 0 ? nullptr : ctx.scratch(static_cast<size_t>(bytes * tasks)));
  for_tasks(ctx, tasks, [&](int64_t t) {
    int64_t begin = std::min(p.count, t * share), end = std::min(p.count, begin + share);
    if (begin < end) Walk(p, slots + t * bytes).run(begin, end);
  });
}

}  // namespace ds::kernels::cpu_detail

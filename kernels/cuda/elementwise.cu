// One kernel interprets every fused program. A thread owns kEach elements; registers are words of dynamic shared memory
// that no other thread touches, so there is no barrier. All inputs are read before anything is written: an output may
// be the memory of an input. The host assigns registers to slots by their last use and checks the types.
#include <array>
#include <cstring>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/space.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int kEach = 4;
constexpr int kMaxInputs = 28;
constexpr int kMaxInstructions = 64;
constexpr int kOps = static_cast<int>(Ew::cast_);

enum class Read : uint8_t { scalar, contiguous, strided };

struct Input {
  const void* data;
  int64_t stride[kMaxRank];
  DType type;
  Read read;
  uint8_t slot;
};
struct Step {
  Ew op;
  DType type, from;  // from: the operand's; of where, the branches'
  uint8_t slot, operand[3];
};
struct Output {
  void* data;
  DType type;
  uint8_t after;  // stored once this many steps are done: its slot may be taken again later
  uint8_t slot;
};
struct Program {  // a kernel argument: under 4 KiB
  Space space;
  int inputs, steps, outputs;
  Input input[kMaxInputs];
  Step step[kMaxInstructions];
  Output output[kMaxInstructions];
};
static_assert(sizeof(Program) <= 4096);

// A thread's registers, `bytes` each: 4, 8 or 16, as the program's widest. One kernel for the three, since it is long.
struct Registers {
  char* base;
  unsigned pitch, bytes;

  __device__ char* at(int slot, int v) const { return base + (slot * kEach + v) * pitch * bytes; }
  template <class C>
  __device__ C get(int slot, int v) const {
    C x;
    __builtin_memcpy(&x, __builtin_assume_aligned(at(slot, v), sizeof(C)), sizeof(C));
    return x;
  }
  template <class C>
  __device__ void set(int slot, int v, C x) const {
    __builtin_memcpy(__builtin_assume_aligned(at(slot, v), sizeof(C)), &x, sizeof(C));
  }
};

// f(Tag<C>) for what t is computed in.
template <class F>
__device__ void visit_compute(DType t, F&& f) {
  switch (t) {
#define X(e, c, n) \
  case DType::e:   \
    return f(Tag<Compute<c>>{});
    DS_DTYPES(X)
#undef X
  }
}

#define DS_EW(name, operands, flops)                                      \
  struct name##_fn {                                                      \
    static constexpr int kOperands = operands;                            \
    template <class... A>                                                 \
    DS_HD auto operator()(A... a) const -> decltype(scalar::name(a...)) { \
      return scalar::name(a...);                                          \
    }                                                                     \
  };
#include "kernels/elementwise.def"

template <class Fn, class C>
constexpr bool defined_for() {
  if constexpr (Fn::kOperands == 1) return std::is_invocable_v<Fn, C>;
  if constexpr (Fn::kOperands == 2) return std::is_invocable_v<Fn, C, C>;
  if constexpr (Fn::kOperands == 3) return std::is_invocable_v<Fn, bool, C, C>;
}

// Results of bf16 and f16 arithmetic are rounded at once.
template <class R>
__device__ R finish(R x, DType t) {
  if constexpr (std::is_same_v<R, float>) {
    if (t == DType::bf16) return scalar::round_bf16(x);
    if (t == DType::f16) return round_f16(x);
  }
  return x;
}

template <class Fn, class C>
__device__ void apply_one(const Step& s, const Registers& r, int v) {
  if constexpr (Fn::kOperands == 1) {
    r.set(s.slot, v, finish(Fn{}(r.get<C>(s.operand[0], v)), s.type));
  } else if constexpr (Fn::kOperands == 2) {
    r.set(s.slot, v, finish(Fn{}(r.get<C>(s.operand[0], v), r.get<C>(s.operand[1], v)), s.type));
  } else {
    r.set(s.slot, v, Fn{}(r.get<bool>(s.operand[0], v), r.get<C>(s.operand[1], v), r.get<C>(s.operand[2], v)));
  }
}
// A function of its own and rolled up: over a kernel that has them all inside, ptxas sits for many minutes.
template <class Fn, class C>
__device__ __attribute__((noinline)) void call_as(const Step& s, const Registers& r) {
#pragma unroll 1
  for (int v = 0; v < kEach; ++v) apply_one<Fn, C>(s, r, v);
}

template <class Fn>
__device__ void apply(const Step& s, const Registers& r) {
  visit_compute(s.from, [&](auto tag) {
    using C = typename decltype(tag)::type;
    if constexpr (defined_for<Fn, C>() && std::is_same_v<C, float>) {
#pragma unroll
      for (int v = 0; v < kEach; ++v) apply_one<Fn, C>(s, r, v);
    } else if constexpr (defined_for<Fn, C>()) {
      call_as<Fn, C>(s, r);
    }
  });
}

// Conversions go by what holds an operand exactly, so that there are not as many as pairs of dtypes.
template <class C>
using Holder =
    std::conditional_t<std::is_same_v<C, bool> || (std::is_integral_v<C> && !std::is_same_v<C, uint64_t>), int64_t, C>;
template <class H>
__device__ __attribute__((noinline)) void cast_held(const Step& s, const Registers& r) {
  H x[kEach];
  visit_compute(s.from, [&](auto tag) {
    using From = typename decltype(tag)::type;
    if constexpr (std::is_same_v<Holder<From>, H>) {
      for (int v = 0; v < kEach; ++v) x[v] = static_cast<H>(r.get<From>(s.operand[0], v));
    }
  });
  visit_compute(s.type, [&](auto tag) {
    for (int v = 0; v < kEach; ++v) {
      r.set(s.slot, v, finish(scalar::cast<typename decltype(tag)::type>(x[v]), s.type));
    }
  });
}
__device__ void apply_cast(const Step& s, const Registers& r) {
  switch (s.from) {
    case DType::f32:
    case DType::bf16:
    case DType::f16:
      return cast_held<float>(s, r);
    case DType::f64:
      return cast_held<double>(s, r);
    case DType::c64:
      return cast_held<complex64>(s, r);
    case DType::c128:
      return cast_held<complex128>(s, r);
    case DType::u64:
      return cast_held<uint64_t>(s, r);
    default:
      return cast_held<int64_t>(s, r);
  }
}

__device__ void run_step(const Step& s, const Registers& r) {
  switch (s.op) {
#define DS_EW(name, operands, flops) \
  case Ew::name##_:                  \
    return apply<name##_fn>(s, r);
#include "kernels/elementwise.def"
    case Ew::cast_:
      return apply_cast(s, r);
  }
}

__device__ void read_input(const Input& in, const Space& space, uint32_t first, const Registers& r) {
  int64_t at[kEach];
  bool inside[kEach];
#pragma unroll
  for (int v = 0; v < kEach; ++v) {
    uint32_t i = first + v * r.pitch;
    inside[v] = i < space.count;
    at[v] = in.read == Read::scalar || !inside[v] ? 0
            : in.read == Read::contiguous         ? static_cast<int64_t>(i)
                                                  : space.offset(i, in.stride);
  }
  if (in.type == DType::bf16) {
    for (int v = 0; v < kEach; ++v) r.set(in.slot, v, load(static_cast<const bfloat16*>(in.data)[at[v]]));
    return;
  }
  if (in.type == DType::f16) {
    for (int v = 0; v < kEach; ++v) r.set(in.slot, v, load(static_cast<const float16*>(in.data)[at[v]]));
    return;
  }
  visit_compute(in.type, [&](auto tag) {
    using C = typename decltype(tag)::type;
    C x[kEach];
#pragma unroll
    for (int v = 0; v < kEach; ++v) x[v] = static_cast<const C*>(in.data)[at[v]];
#pragma unroll
    for (int v = 0; v < kEach; ++v) r.set(in.slot, v, x[v]);
  });
}

__device__ void write_output(const Output& out, uint32_t count, uint32_t first, const Registers& r) {
  auto each = [&](auto&& put) {
    for (int v = 0; v < kEach; ++v) {
      uint32_t i = first + v * r.pitch;
      if (i < count) put(i, v);
    }
  };
  if (out.type == DType::bf16) {
    return each(
        [&](uint32_t i, int v) { static_cast<bfloat16*>(out.data)[i] = store<bfloat16>(r.get<float>(out.slot, v)); });
  }
  if (out.type == DType::f16) {
    return each(
        [&](uint32_t i, int v) { static_cast<float16*>(out.data)[i] = store<float16>(r.get<float>(out.slot, v)); });
  }
  visit_compute(out.type, [&](auto tag) {
    using C = typename decltype(tag)::type;
    each([&](uint32_t i, int v) { static_cast<C*>(out.data)[i] = r.get<C>(out.slot, v); });
  });
}

__global__ void interpret(const __grid_constant__ Program p, unsigned bytes) {
  Registers r{static_cast<char*>(dynamic_shared()) + threadIdx.x * bytes, blockDim.x, bytes};
  uint32_t first = blockIdx.x * blockDim.x * kEach + threadIdx.x;
  for (int i = 0; i < p.inputs; ++i) read_input(p.input[i], p.space, first, r);
  int output = 0;
  for (int s = 0; s <= p.steps; ++s) {
    for (; output < p.outputs && p.output[output].after == s; ++output) {
      write_output(p.output[output], p.space.count, first, r);
    }
    if (s < p.steps) run_step(p.step[s], r);
  }
}

// ---- the host's side ----

struct Row {
  bool type[kDTypes];
};
template <class Fn>
constexpr Row row() {
  return {{
#define X(e, c, n) defined_for<Fn, Compute<c>>(),
      DS_DTYPES(X)
#undef X
  }};
}
constexpr Row kDefined[kOps] = {
#define DS_EW(name, operands, flops) row<name##_fn>(),
#include "kernels/elementwise.def"
};
constexpr int kOperands[] = {
#define DS_EW(name, operands, flops) operands,
#include "kernels/elementwise.def"
    1};
constexpr const char* kNames[] = {
#define DS_EW(name, operands, flops) #name,
#include "kernels/elementwise.def"
    "cast"};

// Registers to slots: a slot is free again after the last step that reads it, or after its store.
class Builder {
 public:
  explicit Builder(const EwCode& code) : code_(code) {
    size_t inputs = code.inputs.size(), steps = code.instructions.size();
    if (inputs > kMaxInputs || steps > kMaxInstructions || code.outputs.size() > kMaxInstructions) {
      throw NotSupported("[elementwise] a program of " + std::to_string(inputs) + " inputs and " +
                         std::to_string(steps) + " instructions is longer than the cuda backend takes");
    }
    last_use_.assign(inputs + steps, 0);
    for (size_t k = 0; k < steps; ++k) {
      const EwInstruction& ins = code.instructions[k];
      for (int o = 0; o < kOperands[static_cast<int>(ins.op)]; ++o) last_use_[ins.operand[o]] = k + 1;
    }
  }

  void build(Program& p) {
    slot_.assign(last_use_.size(), 0);
    size_t inputs = code_.inputs.size(), steps = code_.instructions.size();
    for (size_t i = 0; i < inputs; ++i) slot_[i] = take();
    store_outputs(p, 0, inputs);
    for (size_t k = 0; k < steps; ++k) {
      const EwInstruction& ins = code_.instructions[k];
      Step& s = p.step[k];
      s = {ins.op, ins.type, from_of(ins), 0, {}};
      for (int o = 0; o < kOperands[static_cast<int>(ins.op)]; ++o) s.operand[o] = slot_[ins.operand[o]];
      release(k + 1, inputs + k);
      s.slot = slot_[inputs + k] = take();  // may be an operand's: a thread reads an element before it writes it
      store_outputs(p, k + 1, inputs + k + 1);
      if (last_use_[inputs + k] == 0) free_.push_back(s.slot);
    }
  }

  int slots() const { return slots_; }
  // Of the widest register: 4, 8 or 16.
  size_t word_bytes() const {
    size_t widest = 4;
    for (DType t : code_.inputs) widest = std::max(widest, size_of(t));
    for (const EwInstruction& i : code_.instructions) widest = std::max(widest, size_of(i.type));
    return widest;
  }

 private:
  DType type_of(size_t r) const {
    return r < code_.inputs.size() ? code_.inputs[r] : code_.instructions[r - code_.inputs.size()].type;
  }
  DType from_of(const EwInstruction& ins) const {
    if (ins.op == Ew::cast_) return type_of(ins.operand[0]);
    DType from = ins.op == Ew::where_ ? ins.type : type_of(ins.operand[0]);
    int op = static_cast<int>(ins.op);
    if (!kDefined[op].type[static_cast<int>(from)]) not_supported(kNames[op], from);
    return from;
  }
  uint8_t take() {
    if (free_.empty()) return static_cast<uint8_t>(slots_++);
    uint8_t s = free_.back();
    free_.pop_back();
    return s;
  }
  void release(size_t step, size_t registers) {
    for (size_t r = 0; r < registers; ++r) {
      if (last_use_[r] == step) free_.push_back(slot_[r]);
    }
  }
  // Outputs are stored as soon as their register is there: [first register of this point, end).
  void store_outputs(Program& p, size_t step, size_t end) {
    size_t begin = step == 0 ? 0 : end - 1;
    for (size_t o = 0; o < code_.outputs.size(); ++o) {
      size_t r = code_.outputs[o];
      if (r < begin || r >= end) continue;
      order_[p.outputs] = o;
      p.output[p.outputs++] = {nullptr, type_of(r), static_cast<uint8_t>(step), slot_[r]};
    }
  }

  const EwCode& code_;
  std::vector<size_t> last_use_;  // step + 1
  std::vector<uint8_t> slot_, free_;
  int slots_ = 0;

 public:
  std::array<size_t, kMaxInstructions> order_;  // the code's output behind each of the program's
};

Read read_of(const EwSpace& space, const int64_t* stride) {
  if (is_contiguous(space, stride)) return Read::contiguous;
  bool scalar = std::all_of(stride, stride + space.rank, [](int64_t s) { return s == 0; });
  return scalar ? Read::scalar : Read::strided;
}

}  // namespace

void elementwise(Context& ctx, const EwCode& code, const EwSpace& whole, const EwInput* inputs, void* const* outputs) {
  Program p{};
  Builder builder(code);
  builder.build(p);
  p.inputs = static_cast<int>(code.inputs.size());
  p.steps = static_cast<int>(code.instructions.size());
  size_t word = builder.word_bytes();
  unsigned threads = 128;
  auto bytes = [&] { return threads * kEach * word * static_cast<size_t>(builder.slots()); };
  while (threads > 32 && bytes() > 32 << 10) threads /= 2;

  for_pieces(whole, [&](const EwSpace& part, int64_t begin, int d, int64_t before) {
    p.space = make_space(part);
    for (int i = 0; i < p.inputs; ++i) {
      Input& in = p.input[i];
      in.type = code.inputs[i];
      in.slot = static_cast<uint8_t>(i);
      in.read = read_of(part, inputs[i].stride.data());
      int64_t step = part.rank > 0 ? begin * inputs[i].stride[d] : 0;
      in.data = static_cast<const char*>(inputs[i].data) + step * static_cast<int64_t>(size_of(in.type));
      std::copy(inputs[i].stride.begin(), inputs[i].stride.end(), in.stride);
    }
    for (int o = 0; o < p.outputs; ++o) {
      Output& out = p.output[o];
      out.data = static_cast<char*>(outputs[builder.order_[o]]) + before * static_cast<int64_t>(size_of(out.type));
    }
    Grid grid{ceil_div(p.space.count, threads * kEach)};
    launch(ctx, interpret, grid, threads, bytes(), p, static_cast<unsigned>(word));
  });
}

}  // namespace ds::kernels::cuda_detail

// Built with the kernels' -march and -O3: these loops are what a shared-memory all_reduce spends its time in.
#include "engine/comm/reduce.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace ds::comm {
namespace {

constexpr size_t kBlock = 2048;  // elements of a partial result: stays in L1
constexpr size_t kLeaf = 4;      // inputs combined in registers

struct Bf16Bits {  // bf16 in memory; arithmetic is f32's
  uint16_t bits;
};

template <class T>
struct Arithmetic {
  using Sum = T;
  static T load(T x) { return x; }
  static T store(T x) { return x; }
};
template <>
struct Arithmetic<Bf16Bits> {
  using Sum = float;
  static float load(Bf16Bits x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
  static Bf16Bits store(float x) {  // as ds::bfloat16 rounds, in a form that vectorises
    const uint32_t u = std::bit_cast<uint32_t>(x);
    const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    const uint32_t nan = (u >> 16) | 0x40;
    return {static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
  }
};

template <>
struct Arithmetic<float16> {
  using Sum = float;
  static float load(float16 x) { return unpack_f16(x.bits); }
  static float16 store(float x) { return float16(x); }
};

struct Sum {
  template <class T>
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
    } else {
      return a + b;
    }
  }
};
struct Max {
  template <class T>
  static T apply(T a, T b) {
    return ((a < b) | (b != b)) ? b : a;
  }
};
struct Min {
  template <class T>
  static T apply(T a, T b) {
    return ((b < a) | (b != b)) ? b : a;
  }
};

template <class T, class Op, size_t Lo, size_t Hi>
inline typename Arithmetic<T>::Sum combine(const T* const* in, size_t i) {
  if constexpr (Hi - Lo == 1) {
    return Arithmetic<T>::load(in[Lo][i]);
  } else {
    constexpr size_t kMiddle = Lo + std::bit_floor(Hi - Lo - 1);
    return Op::apply(combine<T, Op, Lo, kMiddle>(in, i), combine<T, Op, kMiddle, Hi>(in, i));
  }
}

// Outputs alias inputs only at equal offsets, hence ivdep.
template <class T, class Op, size_t N>
void in_place(T* const* out, const T* const* in, size_t count) {
  std::array<T*, N> o;
  std::array<const T*, N> x;
  std::copy_n(out, N, o.begin());
  std::copy_n(in, N, x.begin());
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) {
    const T result = Arithmetic<T>::store(combine<T, Op, 0, N>(x.data(), i));
    for (size_t r = 0; r < N; ++r) o[r][i] = result;
  }
}

template <class T, class Op, size_t N, class Out>
void into_one(Out* out, const T* const* in, size_t count) {
  std::array<const T*, N> x;
  std::copy_n(in, N, x.begin());
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) {
    const auto value = combine<T, Op, 0, N>(x.data(), i);
    if constexpr (std::is_same_v<Out, T>) {
      out[i] = Arithmetic<T>::store(value);
    } else {
      out[i] = value;
    }
  }
}

template <class T, class Op, class Out>
void leaf(Out* out, const T* const* in, size_t n, size_t count) {
  switch (n) {
    case 1:
      return into_one<T, Op, 1>(out, in, count);
    case 2:
      return into_one<T, Op, 2>(out, in, count);
    case 3:
      return into_one<T, Op, 3>(out, in, count);
    default:
      return into_one<T, Op, 4>(out, in, count);
  }
}

// A block of at most kBlock elements, kept in the type of the sum.
template <class T, class Op>
void partial(typename Arithmetic<T>::Sum* out, const T* const* in, size_t n, size_t count) {
  if (n <= kLeaf) return leaf<T, Op>(out, in, n, count);
  const size_t middle = std::bit_floor(n - 1);
  alignas(64) std::array<typename Arithmetic<T>::Sum, kBlock> right;
  partial<T, Op>(out, in, middle, count);
  partial<T, Op>(right.data(), in + middle, n - middle, count);
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = Op::apply(out[i], right[i]);
}

template <class T, class Op>
void by_blocks(T* const* out, size_t outs, const T* const* in, size_t n, size_t count) {
  alignas(64) std::array<typename Arithmetic<T>::Sum, kBlock> sum;
  alignas(64) std::array<T, kBlock> result;
  std::array<const T*, 64> at;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t m = std::min(kBlock, count - begin);
    for (size_t r = 0; r < n; ++r) at[r] = in[r] + begin;
    partial<T, Op>(sum.data(), at.data(), n, m);
    for (size_t i = 0; i < m; ++i) result[i] = Arithmetic<T>::store(sum[i]);
    for (size_t r = 0; r < outs; ++r) std::memcpy(out[r] + begin, result.data(), m * sizeof(T));
  }
}

template <class T, class Op>
void run(std::span<void* const> out, std::span<const void* const> in, size_t count) {
  std::array<T*, 64> o;
  std::array<const T*, 64> x;
  if (in.empty() || in.size() > x.size() || out.size() > o.size()) {
    throw CommError("[reduce] between 1 and 64 inputs are supported, got " + std::to_string(in.size()));
  }
  for (size_t r = 0; r < out.size(); ++r) o[r] = static_cast<T*>(out[r]);
  for (size_t r = 0; r < in.size(); ++r) x[r] = static_cast<const T*>(in[r]);
  if (out.size() == 1 && in.size() <= kLeaf) return leaf<T, Op>(o[0], x.data(), in.size(), count);
  if (out.size() == 2 && in.size() == 2) return in_place<T, Op, 2>(o.data(), x.data(), count);
  if (out.size() == 3 && in.size() == 3) return in_place<T, Op, 3>(o.data(), x.data(), count);
  if (out.size() == 4 && in.size() == 4) return in_place<T, Op, 4>(o.data(), x.data(), count);
  by_blocks<T, Op>(o.data(), out.size(), x.data(), in.size(), count);
}

template <class T>
void run(ReduceOp op, std::span<void* const> out, std::span<const void* const> in, size_t count) {
  switch (op) {
    case ReduceOp::sum:
      return run<T, Sum>(out, in, count);
    case ReduceOp::max:
      return run<T, Max>(out, in, count);
    case ReduceOp::min:
      return run<T, Min>(out, in, count);
  }
}

}  // namespace

void reduce_tree(DType type, ReduceOp op, std::span<void* const> out, std::span<const void* const> in, size_t count) {
  switch (type) {
    case DType::f32:
      return run<float>(op, out, in, count);
    case DType::f64:
      return run<double>(op, out, in, count);
    case DType::bf16:
      return run<Bf16Bits>(op, out, in, count);
    case DType::i64:
      return run<int64_t>(op, out, in, count);
    case DType::i32:
      return run<int32_t>(op, out, in, count);
    case DType::u8:
      return run<uint8_t>(op, out, in, count);
    case DType::f16:
      return run<float16>(op, out, in, count);
    case DType::i8:
      return run<int8_t>(op, out, in, count);
    case DType::i16:
      return run<int16_t>(op, out, in, count);
    case DType::u16:
      return run<uint16_t>(op, out, in, count);
    case DType::u32:
      return run<uint32_t>(op, out, in, count);
    case DType::u64:
      return run<uint64_t>(op, out, in, count);
    case DType::c64:
    case DType::c128:  // their parts are summed, and have no order
      if (op == ReduceOp::sum) return reduce_tree(real_of(type), op, out, in, 2 * count);
      break;
    case DType::boolean:
      break;
  }
  throw CommError(std::string("[reduce] no ") + name_of(op) + " for " + ds::name_of(type));
}

bool partial_sums_are_exact(DType type, ReduceOp op) {
  return (type != DType::bf16 && type != DType::f16) || op != ReduceOp::sum;
}

const char* name_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return "sum";
    case ReduceOp::max:
      return "max";
    case ReduceOp::min:
      return "min";
  }
  return "?";
}

}  // namespace ds::comm

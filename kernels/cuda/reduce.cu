// Reductions without atomics. A row is folded by one block: thread t takes elements t, t + T, ..., lanes are folded by
// halves, warps in order. A column is folded by one thread, first row to last. Long ones are cut into parts whose
// number follows from the extents; the parts lie in scratch as the accumulator's type and are reduced in turn.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int64_t kParts = 1024;           // of a row, at most
constexpr int64_t kPart = 16384;           // elements of a row's part, at least
constexpr int64_t kColumnThreads = 65536;  // threads a column reduction tries to fill
constexpr int64_t kColumnRows = 64;        // rows of a column's part, at least

// The operation as a value: one kernel serves all of them. any and all are max and min of x != 0.
struct Fold {
  Reduce op;
  bool truth;

  template <class C>
  __device__ C identity() const {
    switch (op) {
      case Reduce::prod:
      case Reduce::all:
        return C(1);
      case Reduce::max:
        return lowest<C>();
      case Reduce::min:
        return highest<C>();
      default:
        return C(0);
    }
  }
  template <class C>
  __device__ C operator()(C a, C b) const {
    if constexpr (scalar::is_complex<C>) {
      if (op == Reduce::any) return C(a != C(0) || b != C(0));
      return op == Reduce::sum ? scalar::add(a, b) : scalar::mul(a, b);  // all: of zeros and ones
    } else {
      return fold_ordered(a, b);
    }
  }
  template <class C>
  __device__ C fold_ordered(C a, C b) const {
    switch (op) {
      case Reduce::sum:
        return scalar::add(a, b);
      case Reduce::prod:
        return scalar::mul(a, b);
      case Reduce::max:
      case Reduce::any:
        return scalar::maximum(a, b);
      default:
        return scalar::minimum(a, b);
    }
  }
};

// What a stage reads and writes: elements of T, or accumulators of an earlier stage.
template <class T>
struct Stage {
  using C = std::conditional_t<std::is_same_v<T, bool>, uint8_t, Compute<T>>;
  Fold fold;
  const void* in;
  void* out;
  bool from_parts, to_parts;

  __device__ C get(int64_t i) const {
    if (from_parts) return static_cast<const C*>(in)[i];
    C x = static_cast<C>(load(static_cast<const T*>(in)[i]));
    return fold.truth ? static_cast<C>(x != C(0)) : x;
  }
  __device__ void put(int64_t i, C x) const {
    if (to_parts) {
      static_cast<C*>(out)[i] = x;
    } else if (fold.truth) {
      static_cast<bool*>(out)[i] = x != C(0);
    } else {
      static_cast<T*>(out)[i] = store<T>(static_cast<Compute<T>>(x));
    }
  }
};

// Block b folds part b % parts of row b / parts.
template <class T>
__global__ void fold_rows(const __grid_constant__ Stage<T> s, int64_t middle, int64_t parts, int64_t share) {
  using C = typename Stage<T>::C;
  int64_t row = blockIdx.x / parts, begin = blockIdx.x % parts * share;
  int64_t end = begin + share < middle ? begin + share : middle;
  C x = s.fold.template identity<C>();
  const int64_t base = row * middle;
#pragma unroll 4
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) x = s.fold(x, s.get(base + i));
  x = block_fold(x, s.fold);
  if (threadIdx.x == 0) s.put(blockIdx.x, x);
}

// Thread (o, part, j) folds its part of column (o, j).
template <class T>
__global__ void fold_columns(const __grid_constant__ Stage<T> s, int64_t count, int64_t middle, int64_t inner,
                             int64_t parts, int64_t share) {
  using C = typename Stage<T>::C;
  int64_t t = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (t >= count) return;
  int64_t j = t % inner, part = t / inner % parts, o = t / inner / parts;
  int64_t begin = part * share, end = begin + share < middle ? begin + share : middle;
  C x = s.fold.template identity<C>();
  const int64_t base = o * middle * inner + j;
#pragma unroll 4
  for (int64_t i = begin; i < end; ++i) x = s.fold(x, s.get(base + i * inner));
  s.put(t, x);
}

template <class T>
void reduce_rows(Context& ctx, Stage<T> s, int64_t outer, int64_t middle) {
  int64_t parts = outer < kParts ? std::clamp<int64_t>(middle / kPart, 1, kParts) : 1, share = ceil_div(middle, parts);
  parts = share == 0 ? 1 : ceil_div(middle, share);
  parts = std::max<int64_t>(parts, 1);
  if (parts == 1) return launch(ctx, fold_rows<T>, Grid{outer}, row_threads(middle), 0, s, middle, parts, middle);
  Stage<T> first = s, last = s;
  first.out = ctx.scratch(static_cast<size_t>(outer * parts) * sizeof(typename Stage<T>::C));
  first.to_parts = last.from_parts = true;
  last.in = first.out;
  launch(ctx, fold_rows<T>, Grid{outer * parts}, kBlock, 0, first, middle, parts, share);
  launch(ctx, fold_rows<T>, Grid{outer}, row_threads(parts), 0, last, parts, int64_t{1}, parts);
}

struct Cut {
  int64_t parts, share;
};
Cut cut_columns(int64_t columns, int64_t rows) {
  int64_t parts = std::clamp<int64_t>(ceil_div(kColumnThreads, columns), 1, std::max<int64_t>(1, rows / kColumnRows));
  int64_t share = std::max<int64_t>(1, ceil_div(rows, parts));
  return {std::max<int64_t>(1, ceil_div(rows, share)), share};
}

template <class T>
void reduce_columns(Context& ctx, Stage<T> s, int64_t outer, int64_t middle, int64_t inner) {
  int64_t columns = outer * inner;
  Cut cut = cut_columns(columns, middle);
  char *from = nullptr, *to = nullptr;
  if (cut.parts > 1) {  // the second stage's parts are fewer than the first's: two buffers alternate
    size_t bytes = static_cast<size_t>(columns * cut.parts) * sizeof(typename Stage<T>::C);
    to = static_cast<char*>(ctx.scratch(2 * bytes));
    from = to + bytes;
  }
  for (void* result = s.out;; cut = cut_columns(columns, middle)) {
    s.to_parts = cut.parts > 1;
    s.out = s.to_parts ? to : result;
    int64_t count = columns * cut.parts;
    launch(ctx, fold_columns<T>, Grid{ceil_div(count, kBlock)}, kBlock, 0, s, count, middle, inner, cut.parts,
           cut.share);
    if (cut.parts == 1) return;
    s.from_parts = true;
    s.in = s.out;
    middle = cut.parts;
    std::swap(from, to);
  }
}

// ---- the place of the extreme ----

template <class C>
struct Best {
  C value;
  int64_t index;  // -1: nothing yet
};

// Whether b takes the place of a: it is more extreme, or equal and earlier; a NaN beats every number.
template <class C>
__device__ bool beats(const Best<C>& b, const Best<C>& a, bool largest) {
  if (b.index < 0 || a.index < 0) return a.index < 0;
  bool nan_a = a.value != a.value, nan_b = b.value != b.value;
  if (nan_a || nan_b) return nan_b && (!nan_a || b.index < a.index);
  if (a.value == b.value) return b.index < a.index;
  return largest ? b.value > a.value : b.value < a.value;
}

template <class T>
__global__ void arg_rows(const T* in, int64_t* out, int64_t middle, bool largest) {
  using C = std::conditional_t<std::is_same_v<T, bool>, uint8_t, Compute<T>>;
  const T* row = in + blockIdx.x * middle;
  Best<C> best{C(0), -1};
  for (int64_t i = threadIdx.x; i < middle; i += blockDim.x) {
    Best<C> x{static_cast<C>(load(row[i])), i};
    if (beats(x, best, largest)) best = x;
  }
  for (unsigned half = 16; half > 0; half /= 2) {
    Best<C> x{static_cast<C>(__shfl_down_sync(0xffffffffu, best.value, half)),
              __shfl_down_sync(0xffffffffu, best.index, half)};
    if (beats(x, best, largest)) best = x;
  }
  if (threadIdx.x == 0) out[blockIdx.x] = best.index < 0 ? 0 : best.index;
}

template <class T>
__global__ void arg_columns(const T* in, int64_t* out, int64_t count, int64_t middle, int64_t inner, bool largest) {
  using C = std::conditional_t<std::is_same_v<T, bool>, uint8_t, Compute<T>>;
  int64_t t = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (t >= count) return;
  const T* column = in + t / inner * middle * inner + t % inner;
  Best<C> best{C(0), -1};
  for (int64_t i = 0; i < middle; ++i) {
    Best<C> x{static_cast<C>(load(column[i * inner])), i};
    if (beats(x, best, largest)) best = x;
  }
  out[t] = best.index < 0 ? 0 : best.index;
}

}  // namespace

void reduce(Context& ctx, Reduce op, DType type, void* out, const void* in, int64_t outer, int64_t middle,
            int64_t inner) {
  if (type == DType::boolean)
    op = op == Reduce::sum || op == Reduce::max || op == Reduce::any ? Reduce::any : Reduce::all;
  if (outer * inner == 0) return;
  if (is_complex(type) && (op == Reduce::max || op == Reduce::min)) not_supported("reduce", type);
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Stage<T> s{{op, op == Reduce::any || op == Reduce::all}, in, out, false, false};
    inner == 1 ? reduce_rows(ctx, s, outer, middle) : reduce_columns(ctx, s, outer, middle, inner);
  });
}

void arg_reduce(Context& ctx, ArgReduce op, DType type, int64_t* out, const void* in, int64_t outer, int64_t middle,
                int64_t inner) {
  bool largest = op == ArgReduce::argmax;
  visit_ordered(largest ? "argmax" : "argmin", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* x = static_cast<const T*>(in);
    int64_t count = outer * inner;
    if (inner == 1) return launch(ctx, arg_rows<T>, Grid{outer}, 32, 0, x, out, middle, largest);
    launch(ctx, arg_columns<T>, Grid{ceil_div(count, kBlock)}, kBlock, 0, x, out, count, middle, inner, largest);
  });
}

}  // namespace ds::kernels::cuda_detail

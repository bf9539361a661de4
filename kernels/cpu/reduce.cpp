// Reductions. A row is cut into chunks of kChunk elements and a column into chunks of kRows rows whatever the number of
// threads, so the summation tree follows from the extents.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kColumns = 256;  // a task's share of a column reduction: a few cache lines of each row
constexpr int64_t kGrain = 16384;

// inner == 1: `outer` rows of `middle`.
template <class T, class R, class Get, class Op, class Put>
void reduce_rows(Context& ctx, int64_t outer, int64_t middle, Get get, Op op, Put put) {
  int64_t chunks = ceil_div(middle, kChunk);
  auto row = [&](int64_t o) {
    return [&get, base = o * middle]<class X>(int64_t i) { return get.template operator()<X>(base + i); };
  };
  if (chunks <= 1 || outer >= 4 * ctx.threads()) {
    ctx.parallel_for(outer, std::max<int64_t>(1, kGrain / std::max<int64_t>(middle, 1)),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t o = begin; o < end; ++o) put(o, reduce_run<R>(middle, row(o), op));
                     });
    return;
  }
  auto* part = static_cast<R*>(ctx.scratch(static_cast<size_t>(outer * chunks) * sizeof(R)));
  ctx.parallel_for(outer * chunks, kGrain / kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      int64_t o = t / chunks, base = o * middle + t % chunks * kChunk;
      auto chunk = [&]<class X>(int64_t i) { return get.template operator()<X>(base + i); };
      part[t] = reduce_chunk<R>(std::min(kChunk, middle - t % chunks * kChunk), chunk, op);
    }
  });
  for (int64_t o = 0; o < outer; ++o) {
    alignas(64) R lane[kLanes];
    std::fill_n(lane, kLanes, Op::identity);
    for (int64_t c = 0; c < chunks; ++c) lane[c % kLanes] = op(lane[c % kLanes], part[o * chunks + c]);
    put(o, fold_lanes(lane, op));
  }
}

// Columns [begin, end) of `rows` rows, each summed from the first row to the last.
template <class R, class Get, class Op, class Put>
void reduce_columns_block(int64_t rows, int64_t begin, int64_t end, int64_t pitch, const Get& get, Op op, Put put) {
  constexpr int width = kWidth<R>, vectors = 4;
  int64_t j = begin;
  for (; j + vectors * width <= end; j += vectors * width) {
    Vec<R> acc[vectors];
    for (int v = 0; v < vectors; ++v) acc[v] = get.template operator()<Vec<R>>(j + v * width);
    for (int64_t r = 1; r < rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) acc[v] = op(acc[v], get.template operator()<Vec<R>>(r * pitch + j + v * width));
    }
    for (int v = 0; v < vectors; ++v) {
      for (int l = 0; l < width; ++l) put(j + v * width + l, acc[v][l]);
    }
  }
  for (; j + width <= end; j += width) {
    Vec<R> acc = get.template operator()<Vec<R>>(j);
    for (int64_t r = 1; r < rows; ++r) acc = op(acc, get.template operator()<Vec<R>>(r * pitch + j));
    for (int l = 0; l < width; ++l) put(j + l, acc[l]);
  }
  if (j == end) return;
  R tail[width];  // fewer than a vector of columns: row by row, so that the adds are independent
  int left = static_cast<int>(end - j);
  for (int l = 0; l < left; ++l) tail[l] = get.template operator()<R>(j + l);
  for (int64_t r = 1; r < rows; ++r) {
    for (int l = 0; l < left; ++l) tail[l] = op(tail[l], get.template operator()<R>(r * pitch + j + l));
  }
  for (int l = 0; l < left; ++l) put(j + l, tail[l]);
}

// One level: (outer, middle, inner) -> (outer, ceil(middle / kRows), inner), given to put.
template <class R, class Get, class Op, class Put>
void reduce_level(Context& ctx, int64_t outer, int64_t middle, int64_t inner, const Get& get, Op op, Put put) {
  int64_t chunks = ceil_div(middle, kRows), blocks = ceil_div(inner, kColumns);
  int64_t work = std::min(kRows, middle) * std::min(kColumns, inner);
  ctx.parallel_for(outer * chunks * blocks, std::max<int64_t>(1, kGrain / work), [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      int64_t j = t % blocks * kColumns, c = t / blocks % chunks, o = t / blocks / chunks;
      int64_t base = (o * middle + c * kRows) * inner, to = (o * chunks + c) * inner;
      auto from = [&]<class X>(int64_t i) { return get.template operator()<X>(base + i); };
      reduce_columns_block<R>(std::min(kRows, middle - c * kRows), j, std::min(inner, j + kColumns), inner, from, op,
                              [&](int64_t i, R x) { put(to + i, x); });
    }
  });
}

template <class T, class R, class Get, class Op, class Put>
void reduce_columns(Context& ctx, int64_t outer, int64_t middle, int64_t inner, Get get, Op op, Put put) {
  if (middle <= kRows) return reduce_level<R>(ctx, outer, middle, inner, get, op, put);
  int64_t rows = ceil_div(middle, kRows), total = outer * inner * (rows + ceil_div(rows, kRows));
  R* from = static_cast<R*>(ctx.scratch(static_cast<size_t>(total) * sizeof(R)));
  R* to = from + outer * inner * rows;
  reduce_level<R>(ctx, outer, middle, inner, get, op, [&](int64_t i, R x) { from[i] = x; });
  for (;;) {
    auto part = [&]<class X>(int64_t i) { return load_as<X>(from + i); };
    if (rows <= kRows) return reduce_level<R>(ctx, outer, rows, inner, part, op, put);
    reduce_level<R>(ctx, outer, rows, inner, part, op, [&](int64_t i, R x) { to[i] = x; });
    rows = ceil_div(rows, kRows);
    std::swap(from, to);
  }
}

template <class T, class R, class Get, class Op, class Put>
void reduce_tree(Context& ctx, int64_t outer, int64_t middle, int64_t inner, Get get, Op op, Put put) {
  if (outer * inner == 0) return;
  if (middle == 0) {
    for (int64_t i = 0; i < outer * inner; ++i) put(i, Op::identity);
  } else if (inner == 1) {
    reduce_rows<T, R>(ctx, outer, middle, get, op, put);
  } else {
    reduce_columns<T, R>(ctx, outer, middle, inner, get, op, put);
  }
}

template <class T, class Op>
void reduce_floats(Context& ctx, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner, Op op) {
  auto* x = static_cast<const T*>(in);
  auto* y = static_cast<T*>(out);
  auto get = [x]<class X>(int64_t i) { return load_as<X>(x + i); };
  reduce_tree<T, Compute<T>>(ctx, outer, middle, inner, get, op, [y](int64_t i, Compute<T> v) { y[i] = store<T>(v); });
}

// One after the other, which is the contract's order for complex products, and for what is exact in any order:
// integers, and any and all, which read R = (x != 0).
template <class T, class R, class Op>
void reduce_exact(Context& ctx, R* out, const T* in, int64_t outer, int64_t middle, int64_t inner, Op op) {
  int64_t blocks = ceil_div(inner, kColumns), work = std::max<int64_t>(1, middle * std::min(kColumns, inner));
  auto read = [in](int64_t i) {
    if constexpr (std::is_same_v<R, bool>) {
      return load(in[i]) != Compute<T>(0);
    } else {
      return static_cast<R>(load(in[i]));
    }
  };
  ctx.parallel_for(outer * blocks, std::max<int64_t>(1, kGrain / work), [&](int64_t first, int64_t last) {
    R acc[kColumns];
    for (int64_t t = first; t < last; ++t) {
      int64_t o = t / blocks, j = t % blocks * kColumns, columns = std::min(kColumns, inner - j);
      std::fill_n(acc, columns, Op::identity);
      for (int64_t m = 0; m < middle && inner == 1; ++m) acc[0] = op(acc[0], read(o * middle + m));
      for (int64_t m = 0; m < middle && inner > 1; ++m) {
        int64_t row = (o * middle + m) * inner + j;
        for (int64_t c = 0; c < columns; ++c) acc[c] = op(acc[c], read(row + c));
      }
      std::copy_n(acc, columns, out + o * inner + j);
    }
  });
}

struct Any {
  static constexpr bool identity = false;
  bool operator()(bool a, bool b) const { return a | b; }
};
struct All {
  static constexpr bool identity = true;
  bool operator()(bool a, bool b) const { return a & b; }
};

// Sum and product wrap around, in unsigned arithmetic.
template <class T, class Op>
void reduce_integers(Context& ctx, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner, Op op) {
  reduce_exact(ctx, static_cast<T*>(out), static_cast<const T*>(in), outer, middle, inner, op);
}

template <class T>
void reduce_type(Context& ctx, Reduce op, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner) {
  using C = Compute<T>;
  auto* x = static_cast<const T*>(in);
  auto* truth = static_cast<bool*>(out);
  bool same = std::is_same_v<T, bool>;  // for which sum and max are any, product and min are all
  if (op == Reduce::any || (same && (op == Reduce::sum || op == Reduce::max))) {
    return reduce_exact(ctx, truth, x, outer, middle, inner, Any());
  }
  if (op == Reduce::all || same) return reduce_exact(ctx, truth, x, outer, middle, inner, All());
  if constexpr (scalar::Float<C>) {
    if (op == Reduce::sum) return reduce_floats<T>(ctx, out, in, outer, middle, inner, Sum<C>());
    if (op == Reduce::prod) return reduce_floats<T>(ctx, out, in, outer, middle, inner, Product<C>());
    if (op == Reduce::max) return reduce_floats<T>(ctx, out, in, outer, middle, inner, Max<C>());
    return reduce_floats<T>(ctx, out, in, outer, middle, inner, Min<C>());
  } else if constexpr (scalar::is_complex<C>) {  // a sum is two of real parts, side by side
    using R = decltype(C::re);
    if (op == Reduce::sum) return reduce_floats<R>(ctx, out, in, outer, middle, 2 * inner, Sum<R>());
    if (op == Reduce::prod) return reduce_exact(ctx, static_cast<T*>(out), x, outer, middle, inner, Product<C>());
    not_supported(op == Reduce::max ? "max" : "min", dtype_of<T>);
  } else if constexpr (!std::is_same_v<T, bool>) {
    using U = std::make_unsigned_t<T>;
    if (op == Reduce::sum) return reduce_integers<U>(ctx, out, in, outer, middle, inner, Sum<U>());
    if (op == Reduce::prod) return reduce_integers<U>(ctx, out, in, outer, middle, inner, Product<U>());
    if (op == Reduce::max) return reduce_integers<T>(ctx, out, in, outer, middle, inner, Max<T>());
    return reduce_integers<T>(ctx, out, in, outer, middle, inner, Min<T>());
  }
}

}  // namespace

void reduce(Context& ctx, Reduce op, DType type, void* out, const void* in, int64_t outer, int64_t middle,
            int64_t inner) {
  visit(type, [&](auto tag) { reduce_type<typename decltype(tag)::type>(ctx, op, out, in, outer, middle, inner); });
}

namespace {

// Whether x takes the place of the best so far; called in order, so equals lose.
template <bool largest, class C>
bool beats(C x, C best) {
  if constexpr (scalar::Float<C>) {
    if (best != best) return false;
    if (x != x) return true;
  }
  return largest ? x > best : x < best;
}

// Two passes: the extreme by vectors, then the first place that holds it.
template <bool largest, class T>
int64_t arg_of_row(const T* x, int64_t n) {
  using C = Compute<T>;
  if constexpr (std::is_same_v<T, bool>) {
    return std::max<int64_t>(0, (std::find(x, x + n, largest) - x) % n);
  } else {
    C best = load(x[0]);
    if constexpr (scalar::Float<C>) {
      best = largest ? max_array(n, x) : min_array(n, x);
    } else {
      for (int64_t i = 1; i < n; ++i) best = largest ? std::max(best, x[i]) : std::min(best, x[i]);
    }
    for (int64_t i = 0; i < n; ++i) {
      C v = load(x[i]);
      if (v == best || (best != best && v != v)) return i;
    }
    return 0;
  }
}

template <bool largest, class T>
void arg_of_columns(const T* x, int64_t* out, int64_t middle, int64_t inner) {
  std::fill_n(out, inner, int64_t{0});
  for (int64_t m = 1; m < middle; ++m) {
    for (int64_t j = 0; j < inner; ++j) {
      if (beats<largest>(load(x[m * inner + j]), load(x[out[j] * inner + j]))) out[j] = m;
    }
  }
}

}  // namespace

void arg_reduce(Context& ctx, ArgReduce op, DType type, int64_t* out, const void* in, int64_t outer, int64_t middle,
                int64_t inner) {
  int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, middle * inner));
  visit_ordered(op == ArgReduce::argmax ? "argmax" : "argmin", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* x = static_cast<const T*>(in);
    ctx.parallel_for(outer, grain, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T* from = x + o * middle * inner;
        if (inner == 1) {
          out[o] = op == ArgReduce::argmax ? arg_of_row<true>(from, middle) : arg_of_row<false>(from, middle);
        } else if (op == ArgReduce::argmax) {
          arg_of_columns<true>(from, out + o * inner, middle, inner);
        } else {
          arg_of_columns<false>(from, out + o * inner, middle, inner);
        }
      }
    });
  });
}

}  // namespace ds::kernels::cpu_detail

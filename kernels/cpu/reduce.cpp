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

// any and all on bytes that are 0 or 1, and what sum, max, min and prod are for bool.
struct Any : Max<uint8_t> {};
struct All : Min<uint8_t> {
  static constexpr uint8_t identity = 1;
};

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
void reduce_all(Context& ctx, int64_t outer, int64_t middle, int64_t inner, Get get, Op op, Put put) {
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
void reduce_as(Context& ctx, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner, Op op) {
  auto* x = static_cast<const T*>(in);
  auto* y = static_cast<T*>(out);
  auto get = [x]<class X>(int64_t i) { return load_as<X>(x + i); };
  reduce_all<T, Compute<T>>(ctx, outer, middle, inner, get, op, [y](int64_t i, Compute<T> v) { y[i] = store<T>(v); });
}

// any/all of T, through bytes that are 1 where x != 0.
template <class T, class Op>
void reduce_truth(Context& ctx, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner, Op op) {
  auto* x = static_cast<const T*>(in);
  auto* y = static_cast<uint8_t*>(out);
  auto get = [x]<class X>(int64_t i) {
    if constexpr (std::is_same_v<X, uint8_t>) {
      return static_cast<uint8_t>(load(x[i]) != 0);
    } else {
      uint8_t truth[sizeof(X)];
      for (size_t l = 0; l < sizeof(X); ++l) truth[l] = load(x[i + static_cast<int64_t>(l)]) != 0;
      return load_as<X>(truth);
    }
  };
  reduce_all<T, uint8_t>(ctx, outer, middle, inner, get, op, [y](int64_t i, uint8_t v) { y[i] = v; });
}

}  // namespace

void reduce(Context& ctx, Reduce op, DType type, void* out, const void* in, int64_t outer, int64_t middle,
            int64_t inner) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    if (op == Reduce::any) return reduce_truth<T>(ctx, out, in, outer, middle, inner, Any());
    if (op == Reduce::all) return reduce_truth<T>(ctx, out, in, outer, middle, inner, All());
    if constexpr (std::is_same_v<T, bool>) {
      if (op == Reduce::sum || op == Reduce::max) return reduce_truth<T>(ctx, out, in, outer, middle, inner, Any());
      return reduce_truth<T>(ctx, out, in, outer, middle, inner, All());
    } else {
      if (op == Reduce::sum) return reduce_as<T>(ctx, out, in, outer, middle, inner, Sum<C>());
      if (op == Reduce::prod) return reduce_as<T>(ctx, out, in, outer, middle, inner, Product<C>());
      if (op == Reduce::max) return reduce_as<T>(ctx, out, in, outer, middle, inner, Max<C>());
      return reduce_as<T>(ctx, out, in, outer, middle, inner, Min<C>());
    }
  });
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
    C best = largest ? reduce_array(n, x, Max<C>()) : reduce_array(n, x, Min<C>());
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
  visit(type, [&](auto tag) {
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

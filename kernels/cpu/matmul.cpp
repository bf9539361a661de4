// The matrix product. Threads share out rectangles of C, never k, so each element is one chain of fmas in the order of
// k, whatever the number of threads and whichever operand the vectors run along.
#include <cmath>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/matmul_plain.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kTemporary = 256 << 10;  // elements of C kept aside at once

struct Grid {
  int64_t rows, columns;  // of parts
  int64_t part_m, part_n;
};

// Cycles, roughly, of C^T = B^T A^T (turned) or C = A B as they stand: the multiplications, vectors filled up; packing;
// turning C back.
double cost(const Matmul& x, bool turned, int64_t width) {
  auto m = static_cast<double>(turned ? x.n : x.m), k = static_cast<double>(x.k);
  int64_t n = turned ? x.m : x.n;
  bool rows_along_k = turned ? x.trans_b : !x.trans_a, vectors_along_k = turned ? !x.trans_a : x.trans_b;
  double pack = (vectors_along_k ? 0.5 : 0.1) * k * static_cast<double>(n) + (rows_along_k ? 0.0 : 0.4) * k * m;
  return m * static_cast<double>(ceil_div(n, width)) * k / 2 + pack + (turned ? m * static_cast<double>(n) : 0.0);
}

// Cuts C into at most `threads` rectangles so that the slowest part, its packing included, is quickest.
Grid choose_grid(int64_t m, int64_t n, int64_t unit_m, int64_t unit_n, int64_t threads) {
  Grid best{1, 1, m, n};
  double best_cost = 0;
  for (int64_t rows = 1; rows <= threads; ++rows) {
    int64_t columns = threads / rows;
    int64_t pm = std::min(m, round_up(ceil_div(m, rows), unit_m)),
            pn = std::min(n, round_up(ceil_div(n, columns), unit_n));
    double parts = static_cast<double>(pm) * static_cast<double>(pn) + 8.0 * static_cast<double>(pm + pn);
    if (rows == 1 || parts < best_cost) {
      best = {ceil_div(m, pm), ceil_div(n, pn), pm, pn};
      best_cost = parts;
    }
  }
  return best;
}

// A rectangle of C in memory, and the operands' parts that make it.
template <class S>
struct Part {
  int64_t m, n;
  const S *a, *b;
  S* c;
  const S* bias;
};

template <class S>
Part<S> part_of(const Matmul& x, const Grid& grid, int64_t batch, int64_t part) {
  int64_t i = part / grid.columns * grid.part_m, j = part % grid.columns * grid.part_n;
  return {std::min(grid.part_m, x.m - i),
          std::min(grid.part_n, x.n - j),
          static_cast<const S*>(x.a) + batch * x.stride_a + (x.trans_a ? i : i * x.lda),
          static_cast<const S*>(x.b) + batch * x.stride_b + (x.trans_b ? j * x.ldb : j),
          static_cast<S*>(x.c) + batch * x.stride_c + i * x.ldc + j,
          x.bias == nullptr ? nullptr : static_cast<const S*>(x.bias) + j};
}

template <class T, class S>
Gemm<T, S> straight(const Matmul& x, const Part<S>& p, T* buffer_r, T* buffer_v) {
  Gemm<T, S> g{};
  g.m = p.m;
  g.n = p.n;
  g.k = x.k;
  g.r = p.a;
  g.r_row = x.trans_a ? 1 : x.lda;
  g.r_step = x.trans_a ? x.lda : 1;
  g.v = p.b;
  g.v_step = x.trans_b ? 1 : x.ldb;
  g.v_column = x.trans_b ? x.ldb : 1;
  g.buffer_r = buffer_r;
  g.buffer_v = buffer_v;
  return g;
}

template <class T, class S>
Gemm<T, S> turned(const Matmul& x, const Part<S>& p, T* buffer_r, T* buffer_v) {
  Gemm<T, S> g = straight<T, S>(x, p, buffer_r, buffer_v);
  std::swap(g.m, g.n);
  std::swap(g.r, g.v);
  std::swap(g.r_row, g.v_column);
  std::swap(g.r_step, g.v_step);
  return g;
}

template <class T, class S>
S finish(T sum, const Matmul& x, S before, const S* bias) {
  if constexpr (!std::is_same_v<T, S>) {
    if (x.accumulate) sum += load(before);
  }
  if (bias != nullptr) sum += load(*bias);
  return store<S>(x.relu ? scalar::relu(sum) : sum);
}

// C from a temporary of the rows [i, i + rows) by columns [j, j + columns) of the product as it was computed.
template <class T, class S>
void put_back(const Matmul& x, const Part<S>& p, bool turn, const T* sums, int64_t i, int64_t rows, int64_t j,
              int64_t columns) {
  if (!turn) {
    for (int64_t r = 0; r < rows; ++r) {
      S* c = p.c + (i + r) * x.ldc + j;
      for (int64_t q = 0; q < columns; ++q) {
        c[q] = finish<T, S>(sums[r * columns + q], x, c[q], p.bias ? p.bias + j + q : nullptr);
      }
    }
    return;
  }
  constexpr int64_t W = Simd<T>::width;
  alignas(32) T square[W][W];
  for (int64_t q = 0; q < columns; q += W) {
    int64_t width = std::min(W, columns - q);
    for (int64_t r = 0; r < rows; r += W) {
      int64_t height = std::min(W, rows - r);
      if (height == W && width == W) {
        typename Simd<T>::V v[W];
        for (int64_t l = 0; l < W; ++l) v[l] = Simd<T>::load(sums + (r + l) * columns + q);
        Simd<T>::transpose(v);
        for (int64_t l = 0; l < W; ++l) Simd<T>::store(square[l], v[l]);
      } else {
        for (int64_t l = 0; l < width; ++l) {
          for (int64_t h = 0; h < height; ++h) square[l][h] = sums[(r + h) * columns + q + l];
        }
      }
      for (int64_t l = 0; l < width; ++l) {
        S* c = p.c + (j + q + l) * x.ldc + i + r;
        for (int64_t h = 0; h < height; ++h)
          c[h] = finish<T, S>(square[l][h], x, c[h], p.bias ? p.bias + i + r + h : nullptr);
      }
    }
  }
}

// A turned product continues C's own chain too: the temporary starts from C.
template <class T>
void bring_turned(const Matmul& x, const Part<T>& p, T* sums, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t q = 0; q < columns; ++q) sums[r * columns + q] = p.c[(j + q) * x.ldc + i + r];
  }
}

struct Sizes {
  int64_t r, v, temporary;
  int64_t rows, columns;  // of the temporary
  int64_t total() const { return r + v + temporary; }
};

template <class T, class S>
Sizes sizes_for(const GemmKernels<T, S>& kernels, const Matmul& x, const Grid& grid, bool turn) {
  int64_t m = turn ? grid.part_n : grid.part_m, n = turn ? grid.part_m : grid.part_n;
  Sizes s{buffer_r_elements(kernels, m, x.k), buffer_v_elements(kernels, n, x.k), 0, m, n};
  if (turn || !std::is_same_v<T, S>) {
    s.columns = std::min(n, kNc);
    s.rows = std::min(m, std::max<int64_t>(kMc, kTemporary / s.columns / kMc * kMc));
    s.temporary = round_up(s.rows * s.columns, 64);
  }
  return s;
}

template <class T, class S>
void run_part(const GemmKernels<T, S>& kernels, const Matmul& x, const Part<S>& p, bool turn, const Sizes& sizes,
              T* buffers) {
  T *sums = buffers, *buffer_r = buffers + sizes.temporary, *buffer_v = buffer_r + sizes.r;
  if constexpr (std::is_same_v<T, S>) {
    if (!turn) {
      Gemm<T, S> g = straight<T, S>(x, p, buffer_r, buffer_v);
      g.c = p.c;
      g.ldc = x.ldc;
      g.accumulate = x.accumulate;
      g.relu = x.relu;
      g.bias = p.bias;
      return GemmRun<T, S>(kernels, g).run();
    }
  }
  const Gemm<T, S> whole = turn ? turned<T, S>(x, p, buffer_r, buffer_v) : straight<T, S>(x, p, buffer_r, buffer_v);
  for (int64_t j = 0; j < whole.n; j += sizes.columns) {
    for (int64_t i = 0; i < whole.m; i += sizes.rows) {
      Gemm<T, S> g = whole;
      g.m = std::min(sizes.rows, whole.m - i);
      g.n = std::min(sizes.columns, whole.n - j);
      g.r += i * g.r_row;
      g.v += j * g.v_column;
      g.c = sums;
      g.ldc = g.n;
      if constexpr (std::is_same_v<T, S>) {
        g.accumulate = x.accumulate;
        if (x.accumulate) bring_turned(x, p, sums, i, g.m, j, g.n);
      }
      GemmRun<T, S>(kernels, g).run();
      put_back<T, S>(x, p, turn, sums, i, g.m, j, g.n);
    }
  }
}

template <class T, class S>
void matmul_as(Context& ctx, const Matmul& x) {
  if (x.batch * x.m * x.n == 0) return;
  const GemmKernels<T, S>& kernels = gemm_kernels<T, S>();
  int64_t W = kernels.width;
  bool turn = cost(x, true, W) < cost(x, false, W);
  double work = static_cast<double>(x.m) * static_cast<double>(x.n) * static_cast<double>(x.k);
  int64_t threads = work * static_cast<double>(x.batch) < 131072 ? 1 : ctx.threads();
  Grid grid = choose_grid(x.m, x.n, turn ? W : 4, turn ? 4 : W, x.batch >= threads ? 1 : threads);
  Sizes sizes = sizes_for(kernels, x, grid, turn);
  int64_t parts = grid.rows * grid.columns, jobs = x.batch * parts, tasks = std::min(jobs, threads);
  auto* scratch = static_cast<T*>(ctx.scratch(static_cast<size_t>(sizes.total() * tasks) * sizeof(T)));
  for_tasks(ctx, tasks, [&](int64_t t) {
    for (int64_t job = jobs * t / tasks; job < jobs * (t + 1) / tasks; ++job) {
      run_part(kernels, x, part_of<S>(x, grid, job / parts, job % parts), turn, sizes, scratch + t * sizes.total());
    }
  });
}

}  // namespace

void matmul(Context& ctx, const Matmul& x) {
  switch (x.type) {
    case DType::f32:
      return matmul_as<float, float>(ctx, x);
    case DType::f64:
      return matmul_as<double, double>(ctx, x);
    case DType::bf16:
      return matmul_as<float, bfloat16>(ctx, x);
    case DType::f16:
      return matmul_as<float, float16>(ctx, x);
    default:
      return matmul_plain(ctx, x);
  }
}

}  // namespace ds::kernels::cpu_detail

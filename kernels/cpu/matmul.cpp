// The matrix product: panels of B in L1, blocks of A in L2, tiles of C in registers. Threads share out tiles of C,
// never k, so each element is one chain of fmas in the order of k whatever the number of threads.
#include <cstring>

#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kKc = 256;
constexpr int64_t kMc = 144;
constexpr int64_t kNc = 1008;  // a multiple of the tiles' widths, 16 and 24

struct TileShape {
  int rows, vectors;
};

// One product of the batch, or a rectangle of it.
template <class T, class S>
struct Rectangle {
  int64_t m, n, k;
  const S *a, *b;
  T* c;
  int64_t lda, ldb, ldc;
  bool trans_a, trans_b;
  bool accumulate, relu;
  const T* bias;
};

template <class T>
struct Buffers {
  T *a, *b;
};

template <class T, class S>
class Gemm {
 public:
  Gemm(const Rectangle<T, S>& g, TileShape tile, Buffers<T> buffers) : g_(g), tile_(tile), buf_(buffers) {}

  void run() {
    for (int64_t j = 0; j < g_.n; j += kNc) {
      int64_t nc = std::min(kNc, g_.n - j), p = 0;
      do {
        int64_t kc = std::min(kKc, g_.k - p);
        pack_b(p, kc, j, nc);
        for (int64_t i = 0; i < g_.m; i += kMc) block(i, std::min(kMc, g_.m - i), p, kc, j, nc);
        p += kc;
      } while (p < g_.k);
    }
  }

 private:
  static constexpr int W = Simd<T>::width;
  int width() const { return tile_.vectors * W; }

  void pack_b(int64_t p, int64_t kc, int64_t j, int64_t nc) {
    for (int64_t q = 0; q < nc; q += width()) {
      T* out = buf_.b + q * kc;
      int columns = static_cast<int>(std::min<int64_t>(width(), nc - q));
      if (g_.trans_b) {
        pack_columns<T, S>(out, g_.b + (j + q) * g_.ldb + p, g_.ldb, kc, columns, width());
      } else {
        pack_rows<T, S>(out, g_.b + p * g_.ldb + j + q, g_.ldb, kc, columns, width());
      }
    }
  }

  // Rows that the micro-kernel can read where they lie are not packed.
  bool a_in_place() const { return std::is_same_v<T, S> && !g_.trans_a; }

  void pack_a(int64_t i, int64_t mc, int64_t p, int64_t kc) {
    for (int64_t r = 0; r < mc; r += tile_.rows) {
      T* out = buf_.a + r * kc;
      int rows = static_cast<int>(std::min<int64_t>(tile_.rows, mc - r));
      if (g_.trans_a) {
        pack_rows<T, S>(out, g_.a + p * g_.lda + i + r, g_.lda, kc, rows, tile_.rows);
      } else {
        pack_columns<T, S>(out, g_.a + (i + r) * g_.lda + p, g_.lda, kc, rows, tile_.rows);
      }
    }
  }

  void block(int64_t i, int64_t mc, int64_t p, int64_t kc, int64_t j, int64_t nc) {
    if (!a_in_place()) pack_a(i, mc, p, kc);
    bool first = p == 0, last = p + kc == g_.k;
    for (int64_t q = 0; q < nc; q += width()) {
      int columns = static_cast<int>(std::min<int64_t>(width(), nc - q));
      TileEnd<T> end{g_.accumulate || !first, last && g_.relu, last && g_.bias ? g_.bias + j + q : nullptr};
      for (int64_t r = 0; r < mc; r += tile_.rows) {
        int rows = static_cast<int>(std::min<int64_t>(tile_.rows, mc - r));
        const T* a = buf_.a + r * kc;
        int64_t a_row = 1, a_step = tile_.rows;
        if (a_in_place()) {
          a = reinterpret_cast<const T*>(g_.a) + (i + r) * g_.lda + p;
          a_row = g_.lda;
          a_step = 1;
        }
        gemm_tile_for<T>(rows, static_cast<int>(ceil_div(columns, W)))(
            kc, a, a_row, a_step, buf_.b + q * kc, width(), g_.c + (i + r) * g_.ldc + j + q, g_.ldc, columns, end);
      }
    }
  }

  Rectangle<T, S> g_;
  TileShape tile_;
  Buffers<T> buf_;
};

struct Grid {
  int64_t rows, columns;  // of parts
  int64_t part_m, part_n;
};

// Cuts C into at most `threads` rectangles of tiles so that the slowest part, its packing included, is quickest.
Grid choose_grid(int64_t m, int64_t n, TileShape tile, int width, int64_t threads) {
  Grid best{1, 1, m, n};
  double best_cost = 0;
  for (int64_t rows = 1; rows <= threads; ++rows) {
    int64_t columns = threads / rows;
    int64_t pm = std::min(m, round_up(ceil_div(m, rows), tile.rows)),
            pn = std::min(n, round_up(ceil_div(n, columns), width));
    double cost = static_cast<double>(pm) * static_cast<double>(pn) + 8.0 * static_cast<double>(pm + pn);
    if (rows == 1 || cost < best_cost) {
      best = {ceil_div(m, pm), ceil_div(n, pn), pm, pn};
      best_cost = cost;
    }
  }
  return best;
}

TileShape choose_tile(int64_t, int64_t) { return {6, 2}; }

int64_t rounded_k(int64_t k) { return std::min(kKc, std::max<int64_t>(k, 1)); }

template <class T>
int64_t a_elements(int64_t m, int64_t k) {
  return round_up((std::min(m, kMc) + kMaxTileRows) * rounded_k(k), 64);
}
template <class T>
int64_t b_elements(int64_t n, int64_t k) {
  return round_up((std::min(n, kNc) + kMaxTileVectors * Simd<T>::width) * rounded_k(k), 64);
}

// The part's rectangle of product `batch`.
template <class T, class S>
Rectangle<T, S> part_of(const Matmul& x, const Grid& grid, int64_t batch, int64_t part) {
  int64_t i = part / grid.columns * grid.part_m, j = part % grid.columns * grid.part_n;
  auto* a = static_cast<const S*>(x.a) + batch * x.stride_a + (x.trans_a ? i : i * x.lda);
  auto* b = static_cast<const S*>(x.b) + batch * x.stride_b + (x.trans_b ? j * x.ldb : j);
  Rectangle<T, S> g{std::min(grid.part_m, x.m - i),
                    std::min(grid.part_n, x.n - j),
                    x.k,
                    a,
                    b,
                    nullptr,
                    x.lda,
                    x.ldb,
                    x.ldc,
                    x.trans_a,
                    x.trans_b,
                    x.accumulate,
                    x.relu,
                    nullptr};
  if constexpr (std::is_same_v<T, S>) {
    g.c = static_cast<T*>(x.c) + batch * x.stride_c + i * x.ldc + j;
    if (x.bias != nullptr) g.bias = static_cast<const T*>(x.bias) + j;
  }
  return g;
}

// bf16: blocks of C are summed in f32 over the whole of k and rounded once.
void run_bf16(const Matmul& x, const Grid& grid, int64_t batch, int64_t part, TileShape tile, Buffers<float> buf,
              float* block) {
  auto g = part_of<float, bfloat16>(x, grid, batch, part);
  int64_t i0 = part / grid.columns * grid.part_m, j0 = part % grid.columns * grid.part_n;
  auto* c = static_cast<bfloat16*>(x.c) + batch * x.stride_c + i0 * x.ldc + j0;
  auto* bias = x.bias ? static_cast<const bfloat16*>(x.bias) + j0 : nullptr;
  for (int64_t j = 0; j < g.n; j += kNc) {
    for (int64_t i = 0; i < g.m; i += kMc) {
      Rectangle<float, bfloat16> sub = g;
      sub.m = std::min(kMc, g.m - i);
      sub.n = std::min(kNc, g.n - j);
      sub.a += g.trans_a ? i : i * g.lda;
      sub.b += g.trans_b ? j * g.ldb : j;
      sub.c = block;
      sub.ldc = sub.n;
      sub.accumulate = sub.relu = false;
      Gemm<float, bfloat16>(sub, tile, buf).run();
      for (int64_t r = 0; r < sub.m; ++r) {
        bfloat16* to = c + (i + r) * x.ldc + j;
        for (int64_t q = 0; q < sub.n; ++q) {
          float v = block[r * sub.n + q];
          if (x.accumulate) v += load(to[q]);
          if (bias != nullptr) v += load(bias[j + q]);
          to[q] = store<bfloat16>(x.relu ? scalar::relu(v) : v);
        }
      }
    }
  }
}

template <class T, class S>
void matmul_as(Context& ctx, const Matmul& x) {
  if (x.batch * x.m * x.n == 0) return;
  constexpr int W = Simd<T>::width;
  TileShape tile = choose_tile(x.m, x.n);
  double work = static_cast<double>(x.m) * static_cast<double>(x.n) * static_cast<double>(x.k);
  int64_t threads = work * static_cast<double>(x.batch) < 65536 ? 1 : ctx.threads();
  Grid grid = choose_grid(x.m, x.n, tile, tile.vectors * W, x.batch >= threads ? 1 : threads);
  int64_t parts = grid.rows * grid.columns, jobs = x.batch * parts, tasks = std::min(jobs, threads);
  int64_t na = a_elements<T>(grid.part_m, x.k), nb = b_elements<T>(grid.part_n, x.k);
  int64_t nc = std::is_same_v<T, S> ? 0 : round_up(std::min(grid.part_m, kMc) * std::min(grid.part_n, kNc), 64);
  auto* scratch = static_cast<T*>(ctx.scratch(static_cast<size_t>((na + nb + nc) * tasks) * sizeof(T)));
  for_tasks(ctx, tasks, [&](int64_t t) {
    T* mine = scratch + t * (na + nb + nc);
    Buffers<T> buf{mine, mine + na};
    for (int64_t job = jobs * t / tasks; job < jobs * (t + 1) / tasks; ++job) {
      if constexpr (std::is_same_v<T, S>) {
        Gemm<T, S>(part_of<T, S>(x, grid, job / parts, job % parts), tile, buf).run();
      } else {
        run_bf16(x, grid, job / parts, job % parts, tile, buf, mine + na + nb);
      }
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
    default:
      not_supported("matmul", x.type);
  }
}

}  // namespace ds::kernels::cpu_detail

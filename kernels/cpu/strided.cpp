// Moving elements: strided to contiguous and back, filling. Types only matter by their size.
#include <array>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/runs.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kGrain = 32768;
constexpr int64_t kTile = 32;

template <class T>
void gather_run(T* out, const T* in, int64_t stride, int64_t n) {
  if (stride == 1) {
    std::copy_n(in, n, out);
  } else if (stride == 0) {
    std::fill_n(out, n, *in);
  } else {
    for (int64_t j = 0; j < n; ++j) out[j] = in[j * stride];
  }
}

// out[i * out_step + j] = in[j * in_step + i] for i < rows, j < columns, in squares of a vector where elements have the
// size of a float or a double.
template <class T>
void transpose_tile(T* out, int64_t out_step, const T* in, int64_t in_step, int64_t rows, int64_t columns) {
  int64_t i0 = 0;
  if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
    using F = std::conditional_t<sizeof(T) == 4, float, double>;
    constexpr int64_t W = Simd<F>::width;
    auto* from = reinterpret_cast<const F*>(in);
    auto* to = reinterpret_cast<F*>(out);
    int64_t whole = columns / W * W;
    for (; i0 + W <= rows; i0 += W) {
      for (int64_t j = 0; j < whole; j += W) {
        typename Simd<F>::V v[W];
        for (int64_t l = 0; l < W; ++l) v[l] = Simd<F>::load(from + (j + l) * in_step + i0);
        Simd<F>::transpose(v);
        for (int64_t l = 0; l < W; ++l) Simd<F>::store(to + (i0 + l) * out_step + j, v[l]);
      }
      for (int64_t i = i0; i < i0 + W; ++i) {
        for (int64_t j = whole; j < columns; ++j) out[i * out_step + j] = in[j * in_step + i];
      }
    }
  }
  for (int64_t i = i0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[i * out_step + j] = in[j * in_step + i];
  }
}

// The dimension along which a permuted operand is contiguous, or -1 when walking it row by row is as good.
int contiguous_dimension(const EwSpace& s, const int64_t* stride) {
  int last = s.rank - 1;
  if (last < 1 || stride[last] == 1 || stride[last] == 0) return -1;
  for (int d = 0; d < last; ++d) {
    if (stride[d] == 1 && s.extent[d] > 1) return d;
  }
  return -1;
}

// f(offset, linear) for each (row of tiles, everything but d and the last dimension): the transposing walk. Both sides
// are then touched a tile at a time: along d the operand is contiguous, along the last dimension the dense side is.
template <class Move>
void walk_tiles(Context& ctx, const EwSpace& s, const int64_t* stride, int d, Move&& move) {
  int last = s.rank - 1;
  int64_t dense_d = 1;
  for (int e = d + 1; e < s.rank; ++e) dense_d *= s.extent[e];
  int64_t bands = ceil_div(s.extent[d], kTile);
  EwSpace outer{};
  std::array<int64_t, kMaxRank> outer_stride{}, outer_dense{};
  for (int64_t e = last, dense = 1; e >= 0; dense *= s.extent[e], --e) outer_dense[e] = dense;
  std::array<int64_t, kMaxRank> kept{};
  for (int e = 0; e < last; ++e) {
    if (e == d) continue;
    kept[outer.rank] = outer_dense[e];
    outer_stride[outer.rank] = stride[e];
    outer.extent[outer.rank++] = s.extent[e];
  }
  int64_t groups = count_of(outer);
  int64_t grain = std::max<int64_t>(1, kGrain / (kTile * s.extent[last]));
  ctx.parallel_for(groups * bands, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      int64_t group = t / bands, i0 = t % bands * kTile, offset = 0, linear = 0;
      for (int e = outer.rank - 1; e >= 0; --e) {
        int64_t c = group % outer.extent[e];
        group /= outer.extent[e];
        offset += c * outer_stride[e];
        linear += c * kept[e];
      }
      int64_t rows = std::min(kTile, s.extent[d] - i0);
      for (int64_t j0 = 0; j0 < s.extent[last]; j0 += kTile) {
        move(offset + i0 + j0 * stride[last], linear + i0 * dense_d + j0, rows, std::min(kTile, s.extent[last] - j0),
             stride[last], dense_d);
      }
    }
  });
}

}  // namespace

void copy(Context& ctx, DType type, void* out, const EwSpace& space, const EwInput& in) {
  int64_t n = count_of(space);
  if (n == 0) return;
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* to = static_cast<T*>(out);
    auto* from = static_cast<const T*>(in.data);
    if (int d = contiguous_dimension(space, in.stride.data()); d >= 0) {
      return walk_tiles(ctx, space, in.stride.data(), d,
                        [&](int64_t offset, int64_t linear, int64_t rows, int64_t columns, int64_t sj, int64_t si) {
                          transpose_tile(to + linear, si, from + offset, sj, rows, columns);
                        });
    }
    int64_t stride = space.rank > 0 ? in.stride[space.rank - 1] : 1;
    ctx.parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
      walk_runs(space, in.stride.data(), begin, end - begin, [&](int64_t offset, int64_t done, int64_t run) {
        gather_run(to + begin + done, from + offset, stride, run);
      });
    });
  });
}

void scatter_strided(Context& ctx, DType type, void* out, const EwSpace& space, const int64_t* out_stride,
                     const void* in) {
  int64_t n = count_of(space);
  if (n == 0) return;
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* to = static_cast<T*>(out);
    auto* from = static_cast<const T*>(in);
    if (int d = contiguous_dimension(space, out_stride); d >= 0) {
      return walk_tiles(ctx, space, out_stride, d,
                        [&](int64_t offset, int64_t linear, int64_t rows, int64_t columns, int64_t sj, int64_t si) {
                          transpose_tile(to + offset, sj, from + linear, si, columns, rows);
                        });
    }
    int64_t stride = space.rank > 0 ? out_stride[space.rank - 1] : 1;
    ctx.parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
      walk_runs(space, out_stride, begin, end - begin, [&](int64_t offset, int64_t done, int64_t run) {
        for (int64_t j = 0; j < run; ++j) to[offset + j * stride] = from[begin + done + j];
      });
    });
  });
}

void fill(Context& ctx, DType type, void* out, int64_t n, double value) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T x = store<T>(scalar::cast<Compute<T>>(value));
    ctx.parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
      std::fill(static_cast<T*>(out) + begin, static_cast<T*>(out) + end, x);
    });
  });
}

void arange(Context& ctx, DType type, void* out, int64_t n, double start, double step) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    ctx.parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double x = scalar::fma(static_cast<double>(i), step, start);
        static_cast<T*>(out)[i] = store<T>(scalar::cast<Compute<T>>(x));
      }
    });
  });
}

}  // namespace ds::kernels::cpu_detail

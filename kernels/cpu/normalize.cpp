// Kernels over rows. A row is read twice at most; what is kept between the passes lies in the output or in a block.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kGrain = 4096;   // elements with an exp in each
constexpr int64_t kRowParts = 64;  // parts of the rows that layer_norm's parameter gradients are summed in, at most

template <class F>
void for_rows(Context& ctx, int64_t rows, int64_t columns, F&& row) {
  int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, columns));
  ctx.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(r);
  });
}

// What exp is taken relative to: the maximum, but 0 where that is -inf, so that the row is 0/0 and not inf - inf.
template <class C>
C shift_of(C max) {
  return max == -std::numeric_limits<C>::infinity() ? C(0) : max;
}

// sum(exp(x - max)), block by block in the chunks of the reduction's own tree.
template <class T>
Compute<T> sum_exp(const T* x, int64_t n, Compute<T> max) {
  using C = Compute<T>;
  constexpr int64_t kBlock = 512;
  alignas(64) C e[kBlock];
  C sum = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    int64_t m = std::min(kBlock, n - i);
    for (int64_t j = 0; j < m; ++j) e[j] = scalar::exp(load(x[i + j]) - max);
    sum += sum_array(m, e);
  }
  return sum;
}

template <class T>
Compute<T> log_sum_exp(const T* x, int64_t n) {
  auto max = shift_of(max_array(n, x));
  return scalar::log(sum_exp(x, n, max)) + max;
}

}  // namespace

void softmax(Context& ctx, DType type, void* y, const void* x, int64_t rows, int64_t columns) {
  visit_floating("softmax", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* in = static_cast<const T*>(x) + r * columns;
      auto* out = static_cast<T*>(y) + r * columns;
      C max = shift_of(max_array(columns, in));
      if constexpr (std::is_same_v<T, C>) {
        for (int64_t j = 0; j < columns; ++j) out[j] = scalar::exp(in[j] - max);
        C scale = C(1) / sum_array(columns, out);
        for (int64_t j = 0; j < columns; ++j) out[j] *= scale;
      } else {
        C scale = C(1) / sum_exp(in, columns, max);
        for (int64_t j = 0; j < columns; ++j) out[j] = store<T>(scalar::exp(load(in[j]) - max) * scale);
      }
    });
  });
}

void softmax_grad(Context& ctx, DType type, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns) {
  visit_floating("softmax_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* g = static_cast<const T*>(dy) + r * columns;
      auto* s = static_cast<const T*>(y) + r * columns;
      auto* out = static_cast<T*>(dx) + r * columns;
      auto dot = dot_arrays(columns, g, s);
      for (int64_t j = 0; j < columns; ++j) out[j] = store<T>((load(g[j]) - dot) * load(s[j]));
    });
  });
}

void log_softmax(Context& ctx, DType type, void* y, const void* x, int64_t rows, int64_t columns) {
  visit_floating("log_softmax", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* in = static_cast<const T*>(x) + r * columns;
      auto* out = static_cast<T*>(y) + r * columns;
      auto max = shift_of(max_array(columns, in));
      auto log_sum = scalar::log(sum_exp(in, columns, max));
      for (int64_t j = 0; j < columns; ++j) out[j] = store<T>((load(in[j]) - max) - log_sum);
    });
  });
}

void log_softmax_grad(Context& ctx, DType type, void* dx, const void* dy, const void* y, int64_t rows,
                      int64_t columns) {
  visit_floating("log_softmax_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* g = static_cast<const T*>(dy) + r * columns;
      auto* s = static_cast<const T*>(y) + r * columns;
      auto* out = static_cast<T*>(dx) + r * columns;
      auto sum = sum_array(columns, g);
      for (int64_t j = 0; j < columns; ++j) {
        out[j] = store<T>(scalar::fma(-scalar::exp(load(s[j])), sum, load(g[j])));
      }
    });
  });
}

void cross_entropy(Context& ctx, DType type, void* loss, const void* x, const int64_t* target, int64_t rows,
                   int64_t columns) {
  visit_floating("cross_entropy", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* in = static_cast<const T*>(x) + r * columns;
      bool counts = target[r] >= 0 && target[r] < columns;
      static_cast<T*>(loss)[r] = store<T>(counts ? log_sum_exp(in, columns) - load(in[target[r]]) : Compute<T>(0));
    });
  });
}

void cross_entropy_grad(Context& ctx, DType type, void* dx, const void* dloss, const void* x, const int64_t* target,
                        int64_t rows, int64_t columns) {
  visit_floating("cross_entropy_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* in = static_cast<const T*>(x) + r * columns;
      auto* out = static_cast<T*>(dx) + r * columns;
      if (target[r] < 0 || target[r] >= columns) return std::fill_n(out, columns, store<T>(C(0))), void();
      C g = load(static_cast<const T*>(dloss)[r]), max = shift_of(max_array(columns, in));
      C scale = g / sum_exp(in, columns, max), at_target = scalar::exp(load(in[target[r]]) - max);
      for (int64_t j = 0; j < columns; ++j) out[j] = store<T>(scalar::exp(load(in[j]) - max) * scale);
      out[target[r]] = store<T>(scalar::fma(at_target, scale, -g));
    });
  });
}

namespace {

template <class T>
struct NormRow {
  Compute<T> mean, rstd;
};

template <class T>
NormRow<T> normalize_row(const T* x, int64_t n, double eps) {
  using C = Compute<T>;
  C mean = sum_array(n, x) / static_cast<C>(n);
  auto square = [x, mean]<class X>(int64_t i) {
    X d = load_as<X>(x + i) - mean;
    return d * d;
  };
  C variance = reduce_run<C>(n, square, Sum<C>()) / static_cast<C>(n);
  return {mean, scalar::rsqrt(variance + static_cast<C>(eps))};
}

// dx of a row: rstd * (g - mean(g) - xhat * mean(g * xhat)) with g = dy * gamma.
template <class T>
void grad_row(T* dx, const T* dy, const T* x, const T* gamma, Compute<T> mean, Compute<T> rstd, int64_t n) {
  using C = Compute<T>;
  auto g = [=]<class X>(int64_t i) { return load_as<X>(dy + i) * load_as<X>(gamma + i); };
  auto gx = [=]<class X>(int64_t i) {
    X centred = load_as<X>(x + i) - mean;
    return load_as<X>(dy + i) * load_as<X>(gamma + i) * (centred * rstd);
  };
  C a = reduce_run<C>(n, g, Sum<C>()) / static_cast<C>(n), b = reduce_run<C>(n, gx, Sum<C>()) / static_cast<C>(n);
  for (int64_t j = 0; j < n; ++j) {
    C xhat = (load(x[j]) - mean) * rstd;
    dx[j] = store<T>(scalar::fma(-xhat, b, load(dy[j]) * load(gamma[j]) - a) * rstd);
  }
}

}  // namespace

void layer_norm(Context& ctx, DType type, void* y, void* mean, void* rstd, const void* x, const void* gamma,
                const void* beta, double eps, int64_t rows, int64_t columns) {
  visit_floating("layer_norm", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    auto *scale = static_cast<const T*>(gamma), *shift = static_cast<const T*>(beta);
    for_rows(ctx, rows, columns, [&](int64_t r) {
      auto* in = static_cast<const T*>(x) + r * columns;
      auto* out = static_cast<T*>(y) + r * columns;
      NormRow<T> s = normalize_row(in, columns, eps);
      static_cast<C*>(mean)[r] = s.mean;
      static_cast<C*>(rstd)[r] = s.rstd;
      for (int64_t j = 0; j < columns; ++j) {
        out[j] = store<T>(scalar::fma((load(in[j]) - s.mean) * s.rstd, load(scale[j]), load(shift[j])));
      }
    });
  });
}

void layer_norm_grad(Context& ctx, DType type, void* dx, void* dgamma, void* dbeta, const void* dy, const void* x,
                     const void* gamma, const void* mean, const void* rstd, int64_t rows, int64_t columns) {
  visit_floating("layer_norm_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    int64_t share = std::max<int64_t>(16, ceil_div(rows, kRowParts)),
            parts = std::max<int64_t>(1, ceil_div(rows, share));
    auto* sums = static_cast<C*>(ctx.scratch(static_cast<size_t>(2 * parts * columns) * sizeof(C)));
    for_tasks(ctx, parts, [&](int64_t part) {
      C *dg = sums + 2 * part * columns, *db = dg + columns;
      std::fill_n(dg, 2 * columns, C(0));
      for (int64_t r = part * share; r < std::min(rows, (part + 1) * share); ++r) {
        auto *g = static_cast<const T*>(dy) + r * columns, *in = static_cast<const T*>(x) + r * columns;
        C m = static_cast<const C*>(mean)[r], s = static_cast<const C*>(rstd)[r];
        grad_row(static_cast<T*>(dx) + r * columns, g, in, static_cast<const T*>(gamma), m, s, columns);
        for (int64_t j = 0; j < columns; ++j) {
          dg[j] = scalar::fma(load(g[j]), (load(in[j]) - m) * s, dg[j]);
          db[j] += load(g[j]);
        }
      }
    });
    for (int64_t j = 0; j < columns; ++j) {
      C a = 0, b = 0;
      for (int64_t part = 0; part < parts; ++part) {
        a += sums[2 * part * columns + j];
        b += sums[(2 * part + 1) * columns + j];
      }
      static_cast<T*>(dgamma)[j] = store<T>(a);
      static_cast<T*>(dbeta)[j] = store<T>(b);
    }
  });
}

}  // namespace ds::kernels::cpu_detail

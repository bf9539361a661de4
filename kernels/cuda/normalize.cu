// Kernels over rows of `columns`: a block owns a row (a warp where that is enough) and folds it with shuffles.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int64_t kRowParts = 64;  // parts of the rows that layer_norm's parameter gradients are summed in, at most

// The fold of f(j) over the row's columns.
template <class C, class Op, class F>
__device__ C fold_row(int64_t columns, C identity, Op op, F&& f) {
  C x = identity;
#pragma unroll 4
  for (int64_t j = threadIdx.x; j < columns; j += blockDim.x) x = op(x, f(j));
  return block_fold(x, op);
}
template <class C, class F>
__device__ C sum_row(int64_t columns, F&& f) {
  return fold_row(columns, C(0), Add{}, f);
}
template <class F>
__device__ void for_row(int64_t columns, F&& f) {
#pragma unroll 4
  for (int64_t j = threadIdx.x; j < columns; j += blockDim.x) f(j);
}

// What exp is taken relative to, and the sum. The maximum, but 0 where that is -inf: the row is 0/0 and not inf - inf.
template <class C>
struct Exponents {
  C shift, sum;
};
template <class T>
__device__ Exponents<Compute<T>> exponents_of(const T* x, int64_t columns) {
  using C = Compute<T>;
  C max = fold_row(columns, lowest<C>(), Maximum{}, [&](int64_t j) { return load(x[j]); });
  C shift = max == lowest<C>() ? C(0) : max;
  return {shift, sum_row<C>(columns, [&](int64_t j) { return scalar::exp(load(x[j]) - shift); })};
}

template <class T>
__global__ void softmax_rows(T* y, const T* x, int64_t columns) {
  using C = Compute<T>;
  const T* in = x + blockIdx.x * columns;
  T* out = y + blockIdx.x * columns;
  Exponents<C> e = exponents_of(in, columns);
  C scale = C(1) / e.sum;
  for_row(columns, [&](int64_t j) { out[j] = store<T>(scalar::exp(load(in[j]) - e.shift) * scale); });
}

template <class T>
__global__ void log_softmax_rows(T* y, const T* x, int64_t columns) {
  using C = Compute<T>;
  const T* in = x + blockIdx.x * columns;
  T* out = y + blockIdx.x * columns;
  Exponents<C> e = exponents_of(in, columns);
  C log_sum = scalar::log(e.sum);
  for_row(columns, [&](int64_t j) { out[j] = store<T>((load(in[j]) - e.shift) - log_sum); });
}

template <class T>
__global__ void softmax_grad_rows(T* dx, const T* dy, const T* y, int64_t columns) {
  using C = Compute<T>;
  const T *g = dy + blockIdx.x * columns, *s = y + blockIdx.x * columns;
  T* out = dx + blockIdx.x * columns;
  C dot = sum_row<C>(columns, [&](int64_t j) { return load(g[j]) * load(s[j]); });
  for_row(columns, [&](int64_t j) { out[j] = store<T>((load(g[j]) - dot) * load(s[j])); });
}

template <class T>
__global__ void log_softmax_grad_rows(T* dx, const T* dy, const T* y, int64_t columns) {
  using C = Compute<T>;
  const T *g = dy + blockIdx.x * columns, *s = y + blockIdx.x * columns;
  T* out = dx + blockIdx.x * columns;
  C sum = sum_row<C>(columns, [&](int64_t j) { return load(g[j]); });
  for_row(columns, [&](int64_t j) { out[j] = store<T>(scalar::fma(-scalar::exp(load(s[j])), sum, load(g[j]))); });
}

template <class T>
__global__ void cross_entropy_rows(T* loss, const T* x, const int64_t* target, int64_t columns) {
  using C = Compute<T>;
  const T* in = x + blockIdx.x * columns;
  int64_t at = target[blockIdx.x];
  bool counts = at >= 0 && at < columns;  // the same for the whole block
  C result = 0;
  if (counts) {
    Exponents<C> e = exponents_of(in, columns);
    result = (scalar::log(e.sum) + e.shift) - load(in[at]);
  }
  if (threadIdx.x == 0) loss[blockIdx.x] = store<T>(result);
}

template <class T>
__global__ void cross_entropy_grad_rows(T* dx, const T* dloss, const T* x, const int64_t* target, int64_t columns) {
  using C = Compute<T>;
  const T* in = x + blockIdx.x * columns;
  T* out = dx + blockIdx.x * columns;
  int64_t at = target[blockIdx.x];
  if (at < 0 || at >= columns) return for_row(columns, [&](int64_t j) { out[j] = store<T>(C(0)); });
  C g = load(dloss[blockIdx.x]);
  Exponents<C> e = exponents_of(in, columns);
  C scale = g / e.sum;
  for_row(columns, [&](int64_t j) {
    C p = scalar::exp(load(in[j]) - e.shift);
    out[j] = store<T>(j == at ? scalar::fma(p, scale, -g) : p * scale);
  });
}

template <class T>
__global__ void layer_norm_rows(T* y, Compute<T>* mean, Compute<T>* rstd, const T* x, const T* gamma, const T* beta,
                                double eps, int64_t columns) {
  using C = Compute<T>;
  const T* in = x + blockIdx.x * columns;
  T* out = y + blockIdx.x * columns;
  C m = sum_row<C>(columns, [&](int64_t j) { return load(in[j]); }) / static_cast<C>(columns);
  C variance = sum_row<C>(columns,
                          [&](int64_t j) {
                            C d = load(in[j]) - m;
                            return d * d;
                          }) /
               static_cast<C>(columns);
  C r = scalar::rsqrt(variance + static_cast<C>(eps));
  if (threadIdx.x == 0) {
    mean[blockIdx.x] = m;
    rstd[blockIdx.x] = r;
  }
  for_row(columns,
          [&](int64_t j) { out[j] = store<T>(scalar::fma((load(in[j]) - m) * r, load(gamma[j]), load(beta[j]))); });
}

// rstd * (g - mean(g) - xhat * mean(g * xhat)) with g = dy * gamma.
template <class T>
__global__ void layer_norm_grad_rows(T* dx, const T* dy, const T* x, const T* gamma, const Compute<T>* mean,
                                     const Compute<T>* rstd, int64_t columns) {
  using C = Compute<T>;
  const T *in = x + blockIdx.x * columns, *g = dy + blockIdx.x * columns;
  T* out = dx + blockIdx.x * columns;
  C m = mean[blockIdx.x], r = rstd[blockIdx.x], n = static_cast<C>(columns);
  C a = sum_row<C>(columns, [&](int64_t j) { return load(g[j]) * load(gamma[j]); }) / n;
  C b = sum_row<C>(columns, [&](int64_t j) { return load(g[j]) * load(gamma[j]) * ((load(in[j]) - m) * r); }) / n;
  for_row(columns, [&](int64_t j) {
    C xhat = (load(in[j]) - m) * r;
    out[j] = store<T>(scalar::fma(-xhat, b, load(g[j]) * load(gamma[j]) - a) * r);
  });
}

// Part blockIdx.y of the rows: its sums of dy * xhat and of dy lie in sums[part][0] and sums[part][1].
template <class T>
__global__ void layer_norm_grad_parts(Compute<T>* sums, const T* dy, const T* x, const Compute<T>* mean,
                                      const Compute<T>* rstd, int64_t rows, int64_t share, int64_t columns) {
  using C = Compute<T>;
  int64_t j = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, part = blockIdx.y;
  if (j >= columns) return;
  int64_t end = (part + 1) * share < rows ? (part + 1) * share : rows;
  C dgamma = 0, dbeta = 0;
  for (int64_t r = part * share; r < end; ++r) {
    C g = load(dy[r * columns + j]);
    dgamma = scalar::fma(g, (load(x[r * columns + j]) - mean[r]) * rstd[r], dgamma);
    dbeta += g;
  }
  sums[2 * part * columns + j] = dgamma;
  sums[(2 * part + 1) * columns + j] = dbeta;
}

template <class T>
__global__ void layer_norm_grad_fold(T* dgamma, T* dbeta, const Compute<T>* sums, int64_t parts, int64_t columns) {
  int64_t j = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (j >= columns) return;
  Compute<T> a = 0, b = 0;
  for (int64_t part = 0; part < parts; ++part) {
    a += sums[2 * part * columns + j];
    b += sums[(2 * part + 1) * columns + j];
  }
  dgamma[j] = store<T>(a);
  dbeta[j] = store<T>(b);
}

}  // namespace

void softmax(Context& ctx, DType type, void* y, const void* x, int64_t rows, int64_t columns) {
  visit_floating("softmax", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, softmax_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(y), static_cast<const T*>(x),
           columns);
  });
}

void softmax_grad(Context& ctx, DType type, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns) {
  visit_floating("softmax_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, softmax_grad_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(dx),
           static_cast<const T*>(dy), static_cast<const T*>(y), columns);
  });
}

void log_softmax(Context& ctx, DType type, void* y, const void* x, int64_t rows, int64_t columns) {
  visit_floating("log_softmax", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, log_softmax_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(y), static_cast<const T*>(x),
           columns);
  });
}

void log_softmax_grad(Context& ctx, DType type, void* dx, const void* dy, const void* y, int64_t rows,
                      int64_t columns) {
  visit_floating("log_softmax_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, log_softmax_grad_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(dx),
           static_cast<const T*>(dy), static_cast<const T*>(y), columns);
  });
}

void cross_entropy(Context& ctx, DType type, void* loss, const void* x, const int64_t* target, int64_t rows,
                   int64_t columns) {
  visit_floating("cross_entropy", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, cross_entropy_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(loss),
           static_cast<const T*>(x), target, columns);
  });
}

void cross_entropy_grad(Context& ctx, DType type, void* dx, const void* dloss, const void* x, const int64_t* target,
                        int64_t rows, int64_t columns) {
  visit_floating("cross_entropy_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, cross_entropy_grad_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(dx),
           static_cast<const T*>(dloss), static_cast<const T*>(x), target, columns);
  });
}

void layer_norm(Context& ctx, DType type, void* y, void* mean, void* rstd, const void* x, const void* gamma,
                const void* beta, double eps, int64_t rows, int64_t columns) {
  visit_floating("layer_norm", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    launch(ctx, layer_norm_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(y), static_cast<C*>(mean),
           static_cast<C*>(rstd), static_cast<const T*>(x), static_cast<const T*>(gamma), static_cast<const T*>(beta),
           eps, columns);
  });
}

void layer_norm_grad(Context& ctx, DType type, void* dx, void* dgamma, void* dbeta, const void* dy, const void* x,
                     const void* gamma, const void* mean, const void* rstd, int64_t rows, int64_t columns) {
  visit_floating("layer_norm_grad", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    auto *g = static_cast<const T*>(dy), *in = static_cast<const T*>(x);
    auto *m = static_cast<const C*>(mean), *r = static_cast<const C*>(rstd);
    int64_t share = std::max<int64_t>(16, ceil_div(rows, kRowParts)), parts = ceil_div(rows, share);
    Grid blocks{ceil_div(columns, kBlock)};
    auto* sums = static_cast<C*>(ctx.scratch(static_cast<size_t>(2 * parts * columns) * sizeof(C)));
    launch(ctx, layer_norm_grad_rows<T>, Grid{rows}, row_threads(columns), 0, static_cast<T*>(dx), g, in,
           static_cast<const T*>(gamma), m, r, columns);
    launch(ctx, layer_norm_grad_parts<T>, Grid{blocks.x, parts}, kBlock, 0, sums, g, in, m, r, rows, share, columns);
    launch(ctx, layer_norm_grad_fold<T>, blocks, kBlock, 0, static_cast<T*>(dgamma), static_cast<T*>(dbeta),
           static_cast<const C*>(sums), parts, columns);
  });
}

}  // namespace ds::kernels::cuda_detail

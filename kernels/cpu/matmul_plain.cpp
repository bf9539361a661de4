// Rows of C as sums of rows of B, a panel of B at a time. Each element is one chain in the order of k, as in
// matmul.cpp.
#include "kernels/cpu/matmul_plain.h"

#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kRows = 64, kColumns = 128, kSteps = 64;  // of a job, and of k in a panel
constexpr int kUnroll = 4;

// A run of a row of C, or of B: complex numbers lie in two planes, so that the loops vectorise.
template <class T>
struct Run {
  T x[kColumns];
  void set(int64_t j, T v) { x[j] = v; }
  T get(int64_t j) const { return x[j]; }
};
template <class T>
struct Run<Complex<T>> {
  T re[kColumns], im[kColumns];
  void set(int64_t j, Complex<T> v) { re[j] = v.re, im[j] = v.im; }
  Complex<T> get(int64_t j) const { return {re[j], im[j]}; }
};

// c += a[0] b[0] + a[1] b[1] + ..., in that order.
template <int P, class T>
void add_rows(Run<T>& c, const T* a, const Run<T>* b, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    T sum = c.x[j];
    for (int p = 0; p < P; ++p) sum = scalar::add(sum, scalar::mul(a[p], b[p].x[j]));
    c.x[j] = sum;
  }
}
template <int P, class T>
void add_rows(Run<Complex<T>>& c, const Complex<T>* a, const Run<Complex<T>>* b, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    Complex<T> sum = c.get(j);
    for (int p = 0; p < P; ++p) sum = scalar::add(sum, scalar::mul(a[p], b[p].get(j)));
    c.set(j, sum);
  }
}

template <class T>
T finish(const Matmul& x, T sum, int64_t column) {
  if (x.bias != nullptr) sum = scalar::add(sum, static_cast<const T*>(x.bias)[column]);
  if constexpr (!scalar::is_complex<T>) {
    if (x.relu) sum = scalar::relu(sum);
  }
  return sum;
}

// Rows [i0, i1) by columns [j0, j0 + n) of one batch.
template <class T>
void run_block(const Matmul& x, const T* a, const T* b, T* c, int64_t i0, int64_t i1, int64_t j0, int64_t n,
               Run<T>* panel) {
  for (int64_t p0 = 0; p0 == 0 || p0 < x.k; p0 += kSteps) {
    int64_t steps = std::min(kSteps, x.k - p0);
    for (int64_t p = 0; p < steps; ++p) {
      const T* from = x.trans_b ? b + j0 * x.ldb + p0 + p : b + (p0 + p) * x.ldb + j0;
      for (int64_t j = 0; j < n; ++j) panel[p].set(j, from[x.trans_b ? j * x.ldb : j]);
    }
    bool last = p0 + steps >= x.k;
    for (int64_t i = i0; i < i1; ++i) {
      T row[kSteps];
      for (int64_t p = 0; p < steps; ++p) row[p] = x.trans_a ? a[(p0 + p) * x.lda + i] : a[i * x.lda + p0 + p];
      T* to = c + i * x.ldc + j0;
      Run<T> sum;
      for (int64_t j = 0; j < n; ++j) sum.set(j, p0 > 0 || x.accumulate ? to[j] : T(0));
      int64_t p = 0;
      for (; p + kUnroll <= steps; p += kUnroll) add_rows<kUnroll>(sum, row + p, panel + p, n);
      for (; p < steps; ++p) add_rows<1>(sum, row + p, panel + p, n);
      for (int64_t j = 0; j < n; ++j) to[j] = last ? finish(x, sum.get(j), j0 + j) : sum.get(j);
    }
  }
}

template <class T>
void matmul_of(Context& ctx, const Matmul& x) {
  int64_t rows = ceil_div(x.m, kRows), columns = ceil_div(x.n, kColumns), jobs = x.batch * rows * columns;
  int64_t work = std::min(kRows, x.m) * std::min(kColumns, x.n) * std::max<int64_t>(x.k, 1);
  int64_t tasks = std::clamp<int64_t>(jobs * work / 65536, 1, std::min<int64_t>(jobs, ctx.threads()));
  auto* panels = static_cast<Run<T>*>(ctx.scratch(static_cast<size_t>(tasks * kSteps) * sizeof(Run<T>)));
  for_tasks(ctx, tasks, [&](int64_t t) {
    for (int64_t job = jobs * t / tasks; job < jobs * (t + 1) / tasks; ++job) {
      int64_t i = job % rows * kRows, j = job / rows % columns * kColumns, batch = job / rows / columns;
      run_block(x, static_cast<const T*>(x.a) + batch * x.stride_a, static_cast<const T*>(x.b) + batch * x.stride_b,
                static_cast<T*>(x.c) + batch * x.stride_c, i, std::min(x.m, i + kRows), j, std::min(kColumns, x.n - j),
                panels + t * kSteps);
    }
  });
}

}  // namespace

void matmul_plain(Context& ctx, const Matmul& x) {
  visit(x.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (scalar::is_complex<T> || scalar::Integer<T>) {
      if (x.batch * x.m * x.n > 0) matmul_of<T>(ctx, x);
    } else {
      not_supported("matmul", x.type);
    }
  });
}

}  // namespace ds::kernels::cpu_detail

// Running results: a thread owns a line, so that the order of the sums is the CPU's. Sorting: a thread owns an element
// and counts those before it, which needs neither scratch nor a barrier; the line is read from L2 n times.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"
#include "kernels/write.h"

namespace ds::kernels::cuda_detail {
namespace {

__device__ int64_t thread_index() { return blockIdx.x * int64_t{blockDim.x} + threadIdx.x; }

template <Scan how, class T>
__global__ void scan_lines(T* out, int64_t* at, const T* in, int64_t lines, int64_t n, int64_t inner) {
  int64_t t = thread_index();
  if (t >= lines || n == 0) return;
  int64_t first = t / inner * n * inner + t % inner, place = 0;
  Compute<T> run = load(in[first]);
  for (int64_t i = 0; i < n; ++i) {
    int64_t here = first + i * inner;
    Compute<T> v = load(in[here]);
    if constexpr (how == Scan::max || how == Scan::min) {
      bool stays_nan = run != run && v == v;
      if (i > 0 && !stays_nan) {
        Compute<T> next = scan_step<how>(run, v);
        if (next == v || v != v) place = i;
        run = next;
      }
      at[here] = place;
    } else if (i > 0) {
      run = scan_step<how>(run, v);
    }
    out[here] = store<T>(run);
    run = load(out[here]);
  }
}

template <class T>
__global__ void sort_elements(T* out, int64_t* at, const T* in, int64_t total, int64_t n, int64_t inner,
                              bool descending) {
  int64_t t = thread_index();
  if (t >= total) return;
  int64_t i = t / inner % n, first = t / inner / n * n * inner + t % inner, rank = 0;
  Compute<T> x = load(in[t]);
  for (int64_t k = 0; k < n; ++k) {
    Compute<T> y = load(in[first + k * inner]);
    rank += sorts_before(y, x, descending) || (k < i && !sorts_before(x, y, descending));
  }
  out[first + rank * inner] = in[t];
  at[first + rank * inner] = i;
}

}  // namespace

void scan(Context& ctx, Scan how, DType type, void* out, int64_t* at, const void* in, int64_t outer, int64_t n,
          int64_t inner) {
  visit_scan(how, [&](auto kind) {
    constexpr Scan k = decltype(kind)::value;
    visit(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (!can<Compute<T>>(k)) {
        not_supported("scan", type);
      } else {
        int64_t lines = outer * inner;
        launch(ctx, scan_lines<k, T>, Grid{ceil_div(lines, 64)}, 64, 0, static_cast<T*>(out), at,
               static_cast<const T*>(in), lines, n, inner);
      }
    });
  });
}

void sort(Context& ctx, DType type, bool descending, void* out, int64_t* at, const void* in, int64_t outer, int64_t n,
          int64_t inner) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!Ordered<Compute<T>>) {
      not_supported("sort", type);
    } else {
      int64_t total = outer * n * inner;
      launch(ctx, sort_elements<T>, Grid{ceil_div(total, kBlock)}, kBlock, 0, static_cast<T*>(out), at,
             static_cast<const T*>(in), total, n, inner, descending);
    }
  });
}

}  // namespace ds::kernels::cuda_detail

// Running results and sorting, a line of the middle dimension at a time; lines are shared out.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"
#include "kernels/write.h"

namespace ds::kernels::cpu_detail {
namespace {

// body(first element of the line, line) for each line of (outer, n, inner).
template <class Body>
void for_lines(Context& ctx, int64_t outer, int64_t n, int64_t inner, int64_t cost, Body&& body) {
  ctx.parallel_for(outer * inner, grain_for(n * cost), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) body(t / inner * n * inner + t % inner);
  });
}

template <Scan how, class T>
void scan_line(T* y, int64_t* at, const T* x, int64_t n, int64_t stride) {
  if (n == 0) return;
  Compute<T> run = load(x[0]);
  int64_t place = 0;
  for (int64_t i = 0; i < n; ++i) {
    Compute<T> v = load(x[i * stride]);
    if constexpr (how == Scan::max || how == Scan::min) {
      bool stays_nan = run != run && v == v;
      if (i > 0 && !stays_nan) {
        Compute<T> next = scan_step<how>(run, v);
        if (next == v || v != v) place = i;
        run = next;
      }
      at[i * stride] = place;
    } else if (i > 0) {
      run = scan_step<how>(run, v);
    }
    y[i * stride] = store<T>(run);
    run = load(y[i * stride]);
  }
}

template <class T>
struct Keyed {
  T key;
  int64_t at;
};

// Bottom-up merging; `a` holds the line and `b` is as long. Returns the one that holds the result.
template <class T>
Keyed<T>* merge_sort(Keyed<T>* a, Keyed<T>* b, int64_t n, bool descending) {
  constexpr int64_t kRun = 16;
  auto before = [descending](const Keyed<T>& x, const Keyed<T>& y) { return sorts_before(x.key, y.key, descending); };
  for (int64_t begin = 0; begin < n; begin += kRun) {
    for (int64_t i = begin + 1; i < std::min(n, begin + kRun); ++i) {
      Keyed<T> x = a[i];
      int64_t j = i;
      for (; j > begin && before(x, a[j - 1]); --j) a[j] = a[j - 1];
      a[j] = x;
    }
  }
  for (int64_t run = kRun; run < n; run *= 2, std::swap(a, b))
    for (int64_t begin = 0; begin < n; begin += 2 * run) {
      int64_t middle = std::min(n, begin + run), end = std::min(n, begin + 2 * run);
      std::merge(a + begin, a + middle, a + middle, a + end, b + begin, before);
    }
  return a;
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
        auto* x = static_cast<const T*>(in);
        auto* y = static_cast<T*>(out);
        for_lines(ctx, outer, n, inner, k == Scan::logsumexp ? 40 : 4, [&](int64_t first) {
          scan_line<k>(y + first, at == nullptr ? nullptr : at + first, x + first, n, inner);
        });
      }
    });
  });
}

void sort(Context& ctx, DType type, bool descending, void* out, int64_t* at, const void* in, int64_t outer, int64_t n,
          int64_t inner) {
  int64_t lines = outer * inner, tasks = std::min<int64_t>(lines, ctx.threads());
  if (lines * n == 0) return;
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!Ordered<Compute<T>>) {
      not_supported("sort", type);
    } else {
      using K = Keyed<Compute<T>>;
      auto* x = static_cast<const T*>(in);
      auto* y = static_cast<T*>(out);
      auto* room = static_cast<K*>(ctx.scratch(static_cast<size_t>(tasks * 2 * n) * sizeof(K)));
      for_tasks(ctx, tasks, [&](int64_t t) {
        K* line = room + t * 2 * n;
        for (int64_t l = t; l < lines; l += tasks) {
          int64_t first = l / inner * n * inner + l % inner;
          for (int64_t i = 0; i < n; ++i) line[i] = {load(x[first + i * inner]), i};
          const K* sorted = merge_sort(line, line + n, n, descending);
          for (int64_t i = 0; i < n; ++i) {
            y[first + i * inner] = store<T>(sorted[i].key);
            at[first + i * inner] = sorted[i].at;
          }
        }
      });
    }
  });
}

}  // namespace ds::kernels::cpu_detail

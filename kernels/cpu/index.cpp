// Indexing. Gradients add in the order of the index, so only what is independent of it is shared out.
#include <atomic>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kGrain = 16384;
constexpr int64_t kColumns = 64;  // a column block of a gradient

[[noreturn]] void out_of_range(const char* op, int64_t i, int64_t size) {
  throw std::out_of_range(std::string("[") + op + "] index " + std::to_string(i) + " is out of range for size " +
                          std::to_string(size));
}

// Before anything is written: threads must not throw.
void check(Context& ctx, const char* op, const int64_t* index, int64_t n, int64_t size) {
  std::atomic<int64_t> bad{n};
  ctx.parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (index[i] >= -size && index[i] < size) continue;
      int64_t first = bad.load();
      while (i < first && !bad.compare_exchange_weak(first, i)) {
      }
      return;
    }
  });
  if (bad.load() < n) out_of_range(op, index[bad.load()], size);
}

int64_t resolve(int64_t i, int64_t size) { return i < 0 ? i + size : i; }

// Adds rows into out as load(out) + load(in), rounding each time: the order is the contract's.
template <class T>
void add_run(T* out, const T* in, int64_t n) {
  for (int64_t j = 0; j < n; ++j) out[j] = store<T>(scalar::add(load(out[j]), load(in[j])));
}

// Blocks of columns, so that one thread makes all the additions of an element, in order.
template <class F>
void for_columns(Context& ctx, int64_t outer, int64_t work, int64_t inner, F&& f) {
  int64_t blocks = ceil_div(inner, kColumns);
  int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, work * std::min(inner, kColumns)));
  ctx.parallel_for(outer * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      int64_t j = t % blocks * kColumns;
      f(t / blocks, j, std::min(inner, j + kColumns));
    }
  });
}

// Zeros, then f(to, from, outer index, columns from, columns to) adds: so that the order of an element's sum is f's.
template <class F>
void sum_columns(Context& ctx, DType type, void* out, const void* in, int64_t outer, int64_t size, int64_t count,
                 int64_t inner, F&& f) {
  fill(ctx, type, out, outer * size * inner, 0);
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_columns(ctx, outer, count, inner, [&](int64_t o, int64_t begin, int64_t end) {
      f(static_cast<T*>(out) + o * size * inner, static_cast<const T*>(in) + o * count * inner, o, begin, end);
    });
  });
}

}  // namespace

void take(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
          int64_t count, int64_t inner) {
  check(ctx, "take", index, count, size);
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* from = static_cast<const T*>(in);
    auto* to = static_cast<T*>(out);
    int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner));
    ctx.parallel_for(outer * count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        int64_t row = t / count * size + resolve(index[t % count], size);
        std::copy_n(from + row * inner, inner, to + t * inner);
      }
    });
  });
}

void put_add(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
             int64_t count, int64_t inner) {
  check(ctx, "put_add", index, count, size);
  sum_columns(ctx, type, out, in, outer, size, count, inner,
              [&](auto* to, const auto* from, int64_t, int64_t begin, int64_t end) {
                for (int64_t i = 0; i < count; ++i)
                  add_run(to + resolve(index[i], size) * inner + begin, from + i * inner + begin, end - begin);
              });
}

void gather(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
            int64_t count, int64_t inner) {
  check(ctx, "gather", index, outer * count * inner, size);
  visit_size(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* from = static_cast<const T*>(in);
    auto* to = static_cast<T*>(out);
    int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner));
    ctx.parallel_for(outer * count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const T* plane = from + t / count * size * inner;
        for (int64_t j = 0; j < inner; ++j) to[t * inner + j] = plane[resolve(index[t * inner + j], size) * inner + j];
      }
    });
  });
}

void scatter_add(Context& ctx, DType type, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                 int64_t count, int64_t inner) {
  check(ctx, "scatter_add", index, outer * count * inner, size);
  sum_columns(ctx, type, out, in, outer, size, count, inner,
              [&](auto* to, const auto* from, int64_t o, int64_t begin, int64_t end) {
                const int64_t* at = index + o * count * inner;
                for (int64_t i = 0; i < count; ++i)
                  for (int64_t j = begin; j < end; ++j)
                    add_run(to + resolve(at[i * inner + j], size) * inner + j, from + i * inner + j, 1);
              });
}

}  // namespace ds::kernels::cpu_detail

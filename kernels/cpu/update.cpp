// Writes by index. An element's changes happen in the order of the index, so only columns are shared out.
#include <atomic>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"
#include "kernels/write.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kGrain = 16384;
constexpr int64_t kColumns = 64;  // elements of one thread's block of columns

// Before anything is written: threads must not throw.
void check(Context& ctx, const int64_t* index, int64_t n, int64_t size) {
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
  if (bad.load() < n)
    throw std::out_of_range("[index_update] index " + std::to_string(index[bad.load()]) + " is out of range for size " +
                            std::to_string(size));
}

}  // namespace

void index_update(Context& ctx, Write how, DType type, void* out, const void* in, const int64_t* index, bool each,
                  int64_t outer, int64_t size, int64_t count, int64_t inner) {
  check(ctx, index, each ? outer * count * inner : count, size);
  int64_t blocks = ceil_div(inner, kColumns), tasks = outer * blocks;
  int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, count * std::min(inner, kColumns)));
  visit_write(how, [&](auto kind) {
    visit(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (!can<Compute<T>>(decltype(kind)::value)) {
        not_supported("index_update", type);
      } else {
        auto* from = static_cast<const T*>(in);
        auto* to = static_cast<T*>(out);
        ctx.parallel_for(tasks, grain, [&](int64_t first, int64_t last) {
          for (int64_t t = first; t < last; ++t) {
            int64_t o = t / blocks, begin = t % blocks * kColumns, end = std::min(inner, begin + kColumns);
            for (int64_t i = 0; i < count; ++i) {
              int64_t row = (o * count + i) * inner;
              for (int64_t j = begin; j < end; ++j) {
                int64_t at = each ? index[row + j] : index[i];
                T& y = to[(o * size + (at < 0 ? at + size : at)) * inner + j];
                y = store<T>(write_step<decltype(kind)::value>(load(y), load(from[row + j])));
              }
            }
          }
        });
      }
    });
  });
}

}  // namespace ds::kernels::cpu_detail

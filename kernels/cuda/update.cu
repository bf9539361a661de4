// Writes by index: a thread owns a column, so that its changes happen in the order of the index, without atomics. An
// index out of range writes nothing: a kernel cannot throw.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"
#include "kernels/write.h"

namespace ds::kernels::cuda_detail {
namespace {

template <Write how, class T>
__global__ void update_columns(T* out, const T* in, const int64_t* index, bool each, int64_t columns, int64_t size,
                               int64_t count, int64_t inner) {
  int64_t t = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (t >= columns) return;
  int64_t o = t / inner, j = t % inner;
  for (int64_t i = 0; i < count; ++i) {
    int64_t from = (o * count + i) * inner + j, at = each ? index[from] : index[i];
    if (at < -size || at >= size) continue;
    T& y = out[(o * size + (at < 0 ? at + size : at)) * inner + j];
    y = store<T>(write_step<how>(load(y), load(in[from])));
  }
}

}  // namespace

void index_update(Context& ctx, Write how, DType type, void* out, const void* in, const int64_t* index, bool each,
                  int64_t outer, int64_t size, int64_t count, int64_t inner) {
  visit_write(how, [&](auto kind) {
    visit(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (!can<Compute<T>>(decltype(kind)::value)) {
        not_supported("index_update", type);
      } else {
        int64_t columns = outer * inner;
        launch(ctx, update_columns<decltype(kind)::value, T>, Grid{ceil_div(columns, 64)}, 64, 0, static_cast<T*>(out),
               static_cast<const T*>(in), index, each, columns, size, count, inner);
      }
    });
  });
}

}  // namespace ds::kernels::cuda_detail

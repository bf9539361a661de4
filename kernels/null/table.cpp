// The backend of the null device: every kernel does nothing, so that a model can be planned on its shapes alone.
#include "kernels/table.h"

namespace ds::kernels {
namespace {

template <class... A>
constexpr auto nothing(void (*Table::*)(A...)) {
  return +[](A...) {};
}

}  // namespace

const Table& null() {
  static constexpr Table table = {
      .name = "null",
      .elementwise = nothing(&Table::elementwise),
      .copy = nothing(&Table::copy),
      .scatter_strided = nothing(&Table::scatter_strided),
      .fill = nothing(&Table::fill),
      .arange = nothing(&Table::arange),
      .reduce = nothing(&Table::reduce),
      .arg_reduce = nothing(&Table::arg_reduce),
      .matmul = nothing(&Table::matmul),
      .conv2d = nothing(&Table::conv2d),
      .conv2d_grad_input = nothing(&Table::conv2d_grad_input),
      .conv2d_grad_weight = nothing(&Table::conv2d_grad_weight),
      .max_pool2d = nothing(&Table::max_pool2d),
      .max_pool2d_grad = nothing(&Table::max_pool2d_grad),
      .avg_pool2d = nothing(&Table::avg_pool2d),
      .avg_pool2d_grad = nothing(&Table::avg_pool2d_grad),
      .softmax = nothing(&Table::softmax),
      .softmax_grad = nothing(&Table::softmax_grad),
      .log_softmax = nothing(&Table::log_softmax),
      .log_softmax_grad = nothing(&Table::log_softmax_grad),
      .cross_entropy = nothing(&Table::cross_entropy),
      .cross_entropy_grad = nothing(&Table::cross_entropy_grad),
      .layer_norm = nothing(&Table::layer_norm),
      .layer_norm_grad = nothing(&Table::layer_norm_grad),
      .take = nothing(&Table::take),
      .put_add = nothing(&Table::put_add),
      .gather = nothing(&Table::gather),
      .scatter_add = nothing(&Table::scatter_add),
      .adamw = nothing(&Table::adamw),
      .random_uniform = nothing(&Table::random_uniform),
      .random_normal = nothing(&Table::random_normal),
      .random_bits = nothing(&Table::random_bits),
  };
  return table;
}

}  // namespace ds::kernels

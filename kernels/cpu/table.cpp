#include "kernels/table.h"

#include "kernels/cpu/kernels.h"

namespace ds::kernels {

const Table& cpu() {
  namespace k = cpu_detail;
  static constexpr Table table = {
      .name = "cpu",
      .elementwise = k::elementwise,
      .copy = k::copy,
      .scatter_strided = k::scatter_strided,
      .fill = k::fill,
      .arange = k::arange,
      .reduce = k::reduce,
      .arg_reduce = k::arg_reduce,
      .matmul = k::matmul,
      .conv2d = k::conv2d,
      .conv2d_grad_input = k::conv2d_grad_input,
      .conv2d_grad_weight = k::conv2d_grad_weight,
      .max_pool2d = k::max_pool2d,
      .max_pool2d_grad = k::max_pool2d_grad,
      .avg_pool2d = k::avg_pool2d,
      .avg_pool2d_grad = k::avg_pool2d_grad,
      .softmax = k::softmax,
      .softmax_grad = k::softmax_grad,
      .log_softmax = k::log_softmax,
      .log_softmax_grad = k::log_softmax_grad,
      .cross_entropy = k::cross_entropy,
      .cross_entropy_grad = k::cross_entropy_grad,
      .layer_norm = k::layer_norm,
      .layer_norm_grad = k::layer_norm_grad,
      .take = k::take,
      .put_add = k::put_add,
      .gather = k::gather,
      .scatter_add = k::scatter_add,
      .adamw = k::adamw,
      .random_uniform = k::random_uniform,
      .random_normal = k::random_normal,
      .random_bits = k::random_bits,
  };
  return table;
}

}  // namespace ds::kernels

// Stands in for kernels/cuda/ in a build without nvcc: every kernel answers NotSupported.
#include <algorithm>
#include <string>

#include "kernels/table.h"

namespace ds::kernels {
namespace {

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }  // NOLINT(google-explicit-constructor)
};

template <Name kernel, class... A>
constexpr auto refuse(void (*Table::*)(A...)) {
  return +[](A...) {
    throw NotSupported(std::string("[") + kernel.text + "] this build has no cuda backend: nvcc was not found");
  };
}

}  // namespace

const Table& cuda() {
  static constexpr Table table = {
      .name = "cuda (not built)",
      .elementwise = refuse<"elementwise">(&Table::elementwise),
      .copy = refuse<"copy">(&Table::copy),
      .scatter_strided = refuse<"scatter_strided">(&Table::scatter_strided),
      .fill = refuse<"fill">(&Table::fill),
      .arange = refuse<"arange">(&Table::arange),
      .reduce = refuse<"reduce">(&Table::reduce),
      .arg_reduce = refuse<"arg_reduce">(&Table::arg_reduce),
      .matmul = refuse<"matmul">(&Table::matmul),
      .conv2d = refuse<"conv2d">(&Table::conv2d),
      .conv2d_grad_input = refuse<"conv2d_grad_input">(&Table::conv2d_grad_input),
      .conv2d_grad_weight = refuse<"conv2d_grad_weight">(&Table::conv2d_grad_weight),
      .max_pool2d = refuse<"max_pool2d">(&Table::max_pool2d),
      .max_pool2d_grad = refuse<"max_pool2d_grad">(&Table::max_pool2d_grad),
      .avg_pool2d = refuse<"avg_pool2d">(&Table::avg_pool2d),
      .avg_pool2d_grad = refuse<"avg_pool2d_grad">(&Table::avg_pool2d_grad),
      .softmax = refuse<"softmax">(&Table::softmax),
      .softmax_grad = refuse<"softmax_grad">(&Table::softmax_grad),
      .log_softmax = refuse<"log_softmax">(&Table::log_softmax),
      .log_softmax_grad = refuse<"log_softmax_grad">(&Table::log_softmax_grad),
      .cross_entropy = refuse<"cross_entropy">(&Table::cross_entropy),
      .cross_entropy_grad = refuse<"cross_entropy_grad">(&Table::cross_entropy_grad),
      .layer_norm = refuse<"layer_norm">(&Table::layer_norm),
      .layer_norm_grad = refuse<"layer_norm_grad">(&Table::layer_norm_grad),
      .take = refuse<"take">(&Table::take),
      .put_add = refuse<"put_add">(&Table::put_add),
      .gather = refuse<"gather">(&Table::gather),
      .scatter_add = refuse<"scatter_add">(&Table::scatter_add),
      .adamw = refuse<"adamw">(&Table::adamw),
      .random_uniform = refuse<"random_uniform">(&Table::random_uniform),
      .random_normal = refuse<"random_normal">(&Table::random_normal),
      .random_bits = refuse<"random_bits">(&Table::random_bits),
  };
  return table;
}

}  // namespace ds::kernels

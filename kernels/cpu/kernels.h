// The entries of this backend's table, by the file that holds them; kernels/table.h says what each does.
#pragma once
#include "kernels/table.h"

namespace ds::kernels::cpu_detail {

// elementwise.cpp
void elementwise(Context&, const EwCode&, const EwSpace&, const EwInput* inputs, void* const* outputs);
// strided.cpp
void copy(Context&, DType, void* out, const EwSpace&, const EwInput& in);
void scatter_strided(Context&, DType, void* out, const EwSpace&, const int64_t* out_stride, const void* in);
void fill(Context&, DType, void* out, int64_t n, double value);
void arange(Context&, DType, void* out, int64_t n, double start, double step);
// reduce.cpp
void reduce(Context&, Reduce, DType, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner);
void arg_reduce(Context&, ArgReduce, DType, int64_t* out, const void* in, int64_t outer, int64_t middle, int64_t inner);
// matmul.cpp
void matmul(Context&, const Matmul&);
// conv.cpp
void conv2d(Context&, const Conv2d&, void* y, const void* x, const void* w, const void* bias, bool relu);
void conv2d_grad_input(Context&, const Conv2d&, void* dx, const void* dy, const void* w);
void conv2d_grad_weight(Context&, const Conv2d&, void* dw, const void* dy, const void* x);
// pool.cpp
void max_pool2d(Context&, const Pool2d&, void* y, const void* x);
void max_pool2d_grad(Context&, const Pool2d&, void* dx, const void* dy, const void* x);
void avg_pool2d(Context&, const Pool2d&, void* y, const void* x);
void avg_pool2d_grad(Context&, const Pool2d&, void* dx, const void* dy);
// normalize.cpp
void softmax(Context&, DType, void* y, const void* x, int64_t rows, int64_t columns);
void softmax_grad(Context&, DType, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns);
void log_softmax(Context&, DType, void* y, const void* x, int64_t rows, int64_t columns);
void log_softmax_grad(Context&, DType, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns);
void cross_entropy(Context&, DType, void* loss, const void* x, const int64_t* target, int64_t rows, int64_t columns);
void cross_entropy_grad(Context&, DType, void* dx, const void* dloss, const void* x, const int64_t* target,
                        int64_t rows, int64_t columns);
void layer_norm(Context&, DType, void* y, void* mean, void* rstd, const void* x, const void* gamma, const void* beta,
                double eps, int64_t rows, int64_t columns);
void layer_norm_grad(Context&, DType, void* dx, void* dgamma, void* dbeta, const void* dy, const void* x,
                     const void* gamma, const void* mean, const void* rstd, int64_t rows, int64_t columns);
// index.cpp
void take(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size, int64_t count,
          int64_t inner);
void put_add(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
             int64_t count, int64_t inner);
void gather(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
            int64_t count, int64_t inner);
void scatter_add(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                 int64_t count, int64_t inner);
// optimizer.cpp
void adamw(Context&, DType, const AdamW&, int64_t n, void* const out[3], const void* const in[4]);
// random.cpp
void random_uniform(Context&, DType, void* out, int64_t n, Philox);
void random_normal(Context&, DType, void* out, int64_t n, Philox);
void random_bits(Context&, uint32_t* out, int64_t n, Philox);

}  // namespace ds::kernels::cpu_detail

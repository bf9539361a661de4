// The kernels of a backend, one table each: cpu/, cuda/ and null/ have the same files and fill the same table.
// Buffers are contiguous and row-major unless strides are given. No kernel allocates, none knows a graph.
// A kernel a backend lacks throws NotSupported with a sentence; argument checks are the callers'.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/context.h"
#include "kernels/elementwise.h"

namespace ds::kernels {

struct NotSupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Reduce : uint8_t { sum, max, min, prod, any, all };
enum class Write : uint8_t { assign, add, mul, max, min };  // the last assignment wins
enum class Scan : uint8_t { sum, prod, max, min, logsumexp };
enum class ArgReduce : uint8_t { argmax, argmin };  // first index of the extreme; NaN wins

// C[b] = op(A[b]) op(B[b]) + beta C[b]; op transposes. A is (m,k), B is (k,n), after op. Leading dimensions in
// elements. bf16 and f16 accumulate in f32; integers wrap around; no bool. Optional epilogue on each C: + bias[n], then
// the activation, which complex numbers have none of.
struct Matmul {
  DType type;
  int64_t batch, m, n, k;
  const void *a, *b;
  void* c;
  int64_t lda, ldb, ldc;
  int64_t stride_a, stride_b, stride_c;  // between batches; 0 broadcasts A or B
  bool trans_a, trans_b;
  bool accumulate = false;     // beta = 1
  const void* bias = nullptr;  // n elements of C's dtype
  bool relu = false;
};

// NCHW images, OIHW filters, zero padding, groups. Height and width of the output follow from the rest.
struct Conv2d {
  DType type;          // f32, f64
  int64_t n, c, h, w;  // input
  int64_t o, kh, kw;   // filters
  int64_t oh, ow;      // output
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int64_t groups;
};

struct Pool2d {
  DType type;
  int64_t n, c, h, w, oh, ow;  // n*c planes
  int64_t kh, kw, stride_h, stride_w, pad_h, pad_w;
  bool positive = false;  // gradient of the maximum: nothing where that is not above zero, as behind a relu
};

// Philox 4x32-10: element i of the stream (seed, offset) is word i % 4 of counter offset + i / 4.
struct Philox {
  uint64_t seed, offset;
};

// Of one AdamW step, bias corrections worked in: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// p = decay p - rate m / (scale sqrt(v) + eps).
struct AdamW {
  double beta1, beta2, eps, rate, scale, decay;
};

// Its entries are listed again in kernels/table.def, from which the backends' declarations and tables are made.
struct Table {
  const char* name;

  // elementwise.cpp
  void (*elementwise)(Context&, const EwCode&, const EwSpace&, const EwInput* inputs, void* const* outputs);
  // out is contiguous with the extents of space; in is strided; same dtype
  void (*copy)(Context&, DType, void* out, const EwSpace&, const EwInput& in);
  // in is contiguous, out is strided: the reverse of copy (gradient of slicing and of broadcasting's inverse)
  void (*scatter_strided)(Context&, DType, void* out, const EwSpace&, const int64_t* out_stride, const void* in);
  void (*fill)(Context&, DType, void* out, int64_t n, double value);
  void (*arange)(Context&, DType, void* out, int64_t n, double start, double step);

  // reduce.cpp: (outer, middle, inner) -> (outer, inner). Fixed summation tree; bf16 and f16
  // sum in f32. any/all: bool of x != 0. No max, min or extreme's place of complex numbers.
  void (*reduce)(Context&, Reduce, DType, void* out, const void* in, int64_t outer, int64_t middle, int64_t inner);
  void (*arg_reduce)(Context&, ArgReduce, DType, int64_t* out, const void* in, int64_t outer, int64_t middle,
                     int64_t inner);

  // matmul.cpp
  void (*matmul)(Context&, const Matmul&);

  // conv.cpp. bias may be null; relu is the epilogue of the forward pass.
  void (*conv2d)(Context&, const Conv2d&, void* y, const void* x, const void* w, const void* bias, bool relu);
  void (*conv2d_grad_input)(Context&, const Conv2d&, void* dx, const void* dy, const void* w);
  void (*conv2d_grad_weight)(Context&, const Conv2d&, void* dw, const void* dy, const void* x);

  // pool.cpp. Max pooling ties: the first in row-major order wins. Average counts padding as PyTorch's default does.
  void (*max_pool2d)(Context&, const Pool2d&, void* y, const void* x);
  void (*max_pool2d_grad)(Context&, const Pool2d&, void* dx, const void* dy, const void* x);
  void (*avg_pool2d)(Context&, const Pool2d&, void* y, const void* x);
  void (*avg_pool2d_grad)(Context&, const Pool2d&, void* dx, const void* dy);

  // normalize.cpp: rows of `columns`. Floats only.
  void (*softmax)(Context&, DType, void* y, const void* x, int64_t rows, int64_t columns);
  void (*softmax_grad)(Context&, DType, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns);
  void (*log_softmax)(Context&, DType, void* y, const void* x, int64_t rows, int64_t columns);
  void (*log_softmax_grad)(Context&, DType, void* dx, const void* dy, const void* y, int64_t rows, int64_t columns);
  // loss[row] = log(sum(exp(x[row]))) - x[row, target[row]]; a target outside [0, columns) gives 0 (ignored)
  void (*cross_entropy)(Context&, DType, void* loss, const void* x, const int64_t* target, int64_t rows,
                        int64_t columns);
  // dx = (softmax(x) - onehot(target)) * dloss[row]; 0 for ignored rows
  void (*cross_entropy_grad)(Context&, DType, void* dx, const void* dloss, const void* x, const int64_t* target,
                             int64_t rows, int64_t columns);
  // y = (x - mean) / sqrt(var + eps) * gamma + beta; mean and rstd are f32 (f64 for f64), one a row, kept for the
  // gradient
  void (*layer_norm)(Context&, DType, void* y, void* mean, void* rstd, const void* x, const void* gamma,
                     const void* beta, double eps, int64_t rows, int64_t columns);
  void (*layer_norm_grad)(Context&, DType, void* dx, void* dgamma, void* dbeta, const void* dy, const void* x,
                          const void* gamma, const void* mean, const void* rstd, int64_t rows, int64_t columns);

  // index.cpp. take: out[outer, i, inner] = in[outer, index[i], inner], negative indices count from the end.
  // put_add is its gradient: out (outer, size, inner) starts as zeros, in[outer, i, inner] is added, in order of i.
  // An index out of range throws std::out_of_range naming it (cuda: the element reads as 0 and nothing is written).
  void (*take)(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
               int64_t count, int64_t inner);
  void (*put_add)(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                  int64_t count, int64_t inner);
  // gather along the middle: out[o, i, n] = in[o, index[o, i, n], n]; index has out's shape (outer, count, inner)
  void (*gather)(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                 int64_t count, int64_t inner);
  void (*scatter_add)(Context&, DType, void* out, const void* in, const int64_t* index, int64_t outer, int64_t size,
                      int64_t count, int64_t inner);

  // update.cpp. out[outer, index, inner] changes by in[outer, i, inner], in order of i, rounded at each step; the rest
  // of out stays. index is (count,), or with `each` of in's shape (outer, count, inner).
  void (*index_update)(Context&, Write, DType, void* out, const void* in, const int64_t* index, bool each,
                       int64_t outer, int64_t size, int64_t count, int64_t inner);

  // scan.cpp. Running results along the middle of (outer, n, inner), rounded at each step; NaN stays once met.
  // at: where the running max or min stands (of equals the last); null for the others. logsumexp: floats.
  void (*scan)(Context&, Scan, DType, void* out, int64_t* at, const void* in, int64_t outer, int64_t n, int64_t inner);
  // Stable, along the middle; NaN counts as the greatest. at: where each came from.
  void (*sort)(Context&, DType, bool descending, void* out, int64_t* at, const void* in, int64_t outer, int64_t n,
               int64_t inner);

  // optimizer.cpp. n elements, floats; out = {p, m, v}, in = {p, m, v, g}. An output may be the memory of any input.
  void (*adamw)(Context&, DType, const AdamW&, int64_t n, void* const out[3], const void* const in[4]);

  // random.cpp. uniform in [0, 1): 24 bits (f64: 53, from two words; f16 11, bf16 8). normal: Box-Muller over two
  // uniforms.
  void (*random_uniform)(Context&, DType, void* out, int64_t n, Philox);
  void (*random_normal)(Context&, DType, void* out, int64_t n, Philox);
  void (*random_bits)(Context&, uint32_t* out, int64_t n, Philox);
};

static_assert(sizeof(Table) == sizeof(const char*)
#define DS_KERNEL(entry) +sizeof(Table::entry)
#include "kernels/table.def"
                  ,
              "kernels/table.def does not list every entry");

const Table& cpu();   // kernels/cpu/table.cpp
const Table& null();  // kernels/null/table.cpp: does nothing, for planning on shapes alone
const Table& cuda();  // kernels/cuda/table.cpp, or kernels/null/no_cuda.cpp: every entry throws NotSupported

}  // namespace ds::kernels

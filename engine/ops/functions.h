// What users call: PyTorch's names and argument order. Primitives are thin wrappers over their classes; the rest are
// compositions. Every function throws ds::Error naming itself and the values it cannot take.
#pragma once
#include <optional>
#include <vector>

#include "engine/lazy/tensor.h"
#include "engine/ops/functions_index.h"
#include "engine/ops/functions_linalg.h"
#include "engine/ops/functions_math.h"
#include "engine/ops/functions_windows.h"

namespace ds {

// ---- creation
Tensor full(const Shape&, double value, DType = DType::f32, Device = {});
inline Tensor zeros(const Shape& s, DType t = DType::f32, Device d = {}) { return full(s, 0, t, d); }
inline Tensor ones(const Shape& s, DType t = DType::f32, Device d = {}) { return full(s, 1, t, d); }
inline Tensor scalar(double value, DType t = DType::f32, Device d = {}) { return full({}, value, t, d); }
Tensor arange(double start, double stop, double step = 1, DType = DType::i64, Device = {});
// Philox streams: the same (seed, offset) gives the same numbers everywhere. A tensor uses ceil(numel/4) counters
// (f64: ceil(numel/2)) from `offset` on.
Tensor random_uniform(const Shape&, uint64_t seed, uint64_t offset = 0, DType = DType::f32, Device = {});
Tensor random_normal(const Shape&, uint64_t seed, uint64_t offset = 0, DType = DType::f32, Device = {});

// ---- elementwise; operands broadcast and are promoted.
// The array API's table: the wider of one kind; int8 beside uint8 is int16 and so on, uint64 beside signed integers is
// an error of `op`. Of two kinds the later of bool, integer, float, complex, as PyTorch: int64 beside float16 is
// float16, float64 beside complex64 is complex128. float16 beside bfloat16 is float32.
DType promote_types(const char* op, DType a, DType b);
#define DS_DECLARE_unary(name) Tensor name(const Tensor& x);
#define DS_DECLARE_binary(name) Tensor name(const Tensor& a, const Tensor& b);
#define DS_DECLARE_elementwise(name)
#define DS_DECLARE_view(name)
#define DS_DECLARE_constant(name)
#define DS_DECLARE_compute(name)
#define DS_DECLARE_random(name)
#define DS_DECLARE_communication(name)
#define OP(Class, name, category) DS_DECLARE_##category(name)
#include "engine/ops/ops.def"
// The parts of a complex tensor; a real one is its own real part and conjugate. angle: of a negative number pi.
Tensor real(const Tensor& x);
Tensor imag(const Tensor& x);
Tensor conj(const Tensor& x);
Tensor angle(const Tensor& x);
Tensor complex(const Tensor& re, const Tensor& im);  // complex128 of float64, else complex64
inline Tensor greater(const Tensor& a, const Tensor& b) { return less(b, a); }
inline Tensor greater_equal(const Tensor& a, const Tensor& b) { return less_equal(b, a); }
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor cast(const Tensor& x, DType);         // between all dtypes; to a real one, the imaginary part is dropped
Tensor like(const Tensor& x, double value);  // a scalar of x's dtype and device
inline Tensor operator-(const Tensor& x) { return neg(x); }
// A number beside x: of x's dtype, but float32 for a fraction beside integers, and int64 for a whole number beside
// bool.
Tensor beside(const Tensor& x, double value);
#define DS_OPERATOR(op, name)                                                            \
  inline Tensor operator op(const Tensor& a, const Tensor& b) { return name(a, b); }     \
  inline Tensor operator op(const Tensor& a, double b) { return name(a, beside(a, b)); } \
  inline Tensor operator op(double a, const Tensor& b) { return name(beside(b, a), b); }
DS_OPERATOR(+, add)
DS_OPERATOR(-, sub)
DS_OPERATOR(*, mul)
DS_OPERATOR(/, div)
#undef DS_OPERATOR
Tensor square(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor gelu(const Tensor& x);  // exact: x Phi(x)

// ---- shape
Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape);  // one -1 is worked out
Tensor permute(const Tensor& x, const std::vector<int64_t>& dims);
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop,
             int64_t step = 1);  // step > 0; clamped as Python does
Tensor flatten(const Tensor& x, int64_t from = 0);
Tensor squeeze(const Tensor& x, int64_t dim);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor concat(const std::vector<Tensor>& xs, int64_t dim = 0);
Tensor contiguous(const Tensor& x);

// ---- reductions; no dims: all. Sums and products of bool and integers are int64.
Tensor sum(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor amax(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor prod(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor all(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor var(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false, double correction = 1);
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);  // int64
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);

// ---- linear algebra, convolution
Tensor matmul(const Tensor& a, const Tensor& b);  // (...,m,k) x (...,k,n); vectors as PyTorch treats them
Tensor linear(const Tensor& x, const Tensor& weight /*(out,in)*/, const Tensor& bias = {});
struct Conv2dOptions {
  int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1, groups = 1;
};
Tensor conv2d(const Tensor& x /*NCHW*/, const Tensor& weight /*OIHW*/, const Tensor& bias = {},
              const Conv2dOptions& = {});
struct Pool2dOptions {
  int64_t kernel_h = 2, kernel_w = 2, stride_h = 2, stride_w = 2, pad_h = 0, pad_w = 0;
};
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& = {});
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& = {});

// ---- normalisation and losses
Tensor softmax(const Tensor& x, int64_t dim = -1);
Tensor log_softmax(const Tensor& x, int64_t dim = -1);
enum class Reduction : uint8_t { none, sum, mean };
Tensor cross_entropy(const Tensor& logits /*(rows,classes)*/, const Tensor& target /*int64 (rows,)*/,
                     Reduction = Reduction::mean);
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  double eps = 1e-5);  // over the last dimension

// ---- indexing
Tensor take(const Tensor& x, const Tensor& index, int64_t dim);    // whole slices, index of any shape
Tensor embedding(const Tensor& index, const Tensor& weight);       // (...) -> (...,width)
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);  // index has x's rank
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor one_hot(const Tensor& index, int64_t classes, DType = DType::f32);
// Zero with probability p, else scaled by 1/(1-p); the mask is the Philox stream (seed, offset).
Tensor dropout(const Tensor& x, double p, uint64_t seed, uint64_t offset = 0);

}  // namespace ds

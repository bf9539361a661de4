#include "python/bind/ops.h"

#include <algorithm>

#include "engine/ops/adamw.h"
#include "engine/ops/functions.h"
#include "python/bind/buffer.h"

namespace ds::py {
namespace {

using nb::arg;
using Dims = std::vector<int64_t>;

// Rows of the op table that are one function of one or two tensors.
void bind_table(nb::module_& m) {
#define DS_BIND_unary(name) m.def(#name, [](const Tensor& x) { return ds::name(x); });
#define DS_BIND_binary(name) m.def(#name, [](const Tensor& a, const Tensor& b) { return ds::name(a, b); });
#define DS_BIND_elementwise(name)
#define DS_BIND_view(name)
#define DS_BIND_constant(name)
#define DS_BIND_compute(name)
#define DS_BIND_random(name)
#define DS_BIND_communication(name)
#define OP(Class, name, category) DS_BIND_##category(name)
#include "engine/ops/ops.def"
}

void bind_creation(nb::module_& m) {
  m.def("full", [](const Shape& s, double v, DType t, Device d) { return full(s, v, t, d); });
  m.def("arange",
        [](double start, double stop, double step, DType t, Device d) { return arange(start, stop, step, t, d); });
  m.def("random_uniform", [](const Shape& s, uint64_t seed, uint64_t offset, DType t, Device d) {
    return random_uniform(s, seed, offset, t, d);
  });
  m.def("random_normal", [](const Shape& s, uint64_t seed, uint64_t offset, DType t, Device d) {
    return random_normal(s, seed, offset, t, d);
  });
}

void bind_shapes(nb::module_& m) {
  m.def("reshape", [](const Tensor& x, Dims s) { return reshape(x, s); });
  m.def("permute", [](const Tensor& x, Dims d) { return permute(x, d); });
  m.def("transpose", [](const Tensor& x, int64_t a, int64_t b) { return transpose(x, a, b); });
  m.def("broadcast_to", [](const Tensor& x, const Shape& s) { return broadcast_to(x, s); });
  m.def("slice", [](const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
    return slice(x, dim, start, stop, step);
  });
  m.def("flatten", [](const Tensor& x, int64_t from) { return flatten(x, from); });
  m.def("squeeze", [](const Tensor& x, int64_t dim) { return squeeze(x, dim); });
  m.def("unsqueeze", [](const Tensor& x, int64_t dim) { return unsqueeze(x, dim); });
  m.def("concat", [](std::vector<Tensor> xs, int64_t dim) { return concat(xs, dim); });
  m.def("clone", [](const Tensor& x) { return clone(x); });
  m.def("contiguous", [](const Tensor& x) { return contiguous(x); });
  m.def("promote_types", [](DType a, DType b) { return promote_types("promote_types", a, b); });
  m.def("casts_in_place", casts_in_place);
  m.def("cast", [](const Tensor& x, DType t) { return cast(x, t); });
  m.def("where", [](const Tensor& c, const Tensor& a, const Tensor& b) { return where(c, a, b); });
}

void bind_reductions(nb::module_& m) {
#define REDUCTION(name)                                                                                          \
  m.def(                                                                                                         \
      #name, [](const Tensor& x, Dims d, bool keep) { return name(x, d, keep); }, arg("x"), arg("dim") = Dims{}, \
      arg("keepdim") = false);
  REDUCTION(sum)
  REDUCTION(mean)
  REDUCTION(amax)
  REDUCTION(amin)
  REDUCTION(prod)
  REDUCTION(any)
  REDUCTION(all)
#undef REDUCTION
  m.def("var", [](const Tensor& x, Dims d, bool keep, double correction) { return var(x, d, keep, correction); });
  m.def("argmax", [](const Tensor& x, int64_t dim, bool keep) { return argmax(x, dim, keep); });
  m.def("argmin", [](const Tensor& x, int64_t dim, bool keep) { return argmin(x, dim, keep); });
}

void bind_layers(nb::module_& m) {
  m.def("matmul", [](const Tensor& a, const Tensor& b) { return matmul(a, b); });
  m.def(
      "linear",
      [](const Tensor& x, const Tensor& w, std::optional<Tensor> b) { return linear(x, w, b ? *b : Tensor()); },
      arg("x"), arg("weight"), arg("bias") = nb::none());
  m.def("true_divide", [](const Tensor& a, const Tensor& b) { return true_divide(a, b); });
  m.def("silu", [](const Tensor& x) { return silu(x); });
  m.def("gelu", [](const Tensor& x) { return gelu(x); });
  m.def(
      "conv2d",
      [](const Tensor& x, const Tensor& w, std::optional<Tensor> b, std::pair<int64_t, int64_t> stride,
         std::pair<int64_t, int64_t> padding, std::pair<int64_t, int64_t> dilation, int64_t groups) {
        return conv2d(
            x, w, b ? *b : Tensor(),
            {stride.first, stride.second, padding.first, padding.second, dilation.first, dilation.second, groups});
      },
      arg("x"), arg("weight"), arg("bias").none(), arg("stride"), arg("padding"), arg("dilation"), arg("groups"));
  auto pool = [](std::pair<int64_t, int64_t> k, std::pair<int64_t, int64_t> s, std::pair<int64_t, int64_t> p) {
    return Pool2dOptions{k.first, k.second, s.first, s.second, p.first, p.second};
  };
  using Pair = std::pair<int64_t, int64_t>;
  m.def("max_pool2d", [pool](const Tensor& x, Pair k, Pair s, Pair p) { return max_pool2d(x, pool(k, s, p)); });
  m.def("avg_pool2d", [pool](const Tensor& x, Pair k, Pair s, Pair p) { return avg_pool2d(x, pool(k, s, p)); });
  m.def("softmax", [](const Tensor& x, int64_t dim) { return softmax(x, dim); });
  m.def("log_softmax", [](const Tensor& x, int64_t dim) { return log_softmax(x, dim); });
  m.def(
      "cross_entropy",
      [](const Tensor& logits, const Tensor& target) { return cross_entropy(logits, target, Reduction::none); },
      "The loss of each row: logits (rows, classes), target int64 (rows,); a target out of range gives 0.");
  m.def("layer_norm",
        [](const Tensor& x, const Tensor& w, const Tensor& b, double eps) { return layer_norm(x, w, b, eps); });
  m.def(
      "attention",
      [](const Tensor& q, const Tensor& k, const Tensor& v, std::optional<Tensor> mask, bool causal, double scale) {
        return scaled_dot_product_attention(q, k, v, {mask ? *mask : Tensor(), causal, scale});
      },
      arg("q"), arg("k"), arg("v"), arg("mask").none(), arg("causal"), arg("scale"),
      "In blocks of queries: memory grows with the length, not with its square.");
  m.def("embedding", [](const Tensor& index, const Tensor& w) { return embedding(index, w); });
  m.def("take", [](const Tensor& x, const Tensor& index, int64_t dim) { return take(x, index, dim); });
  m.def("gather", [](const Tensor& x, int64_t dim, const Tensor& index) { return gather(x, dim, index); });
  m.def("scatter_add", [](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& s) {
    return scatter_add(x, dim, index, s);
  });
  m.def(
      "class_out_of_range",
      [](const Tensor& index, int64_t classes, int64_t ignored) -> std::optional<int64_t> {
        bool known = index.evaluated() && index.dtype() == DType::i64 && index.device().kind == DeviceKind::cpu;
        if (!known || !index.value().contiguous(index.shape())) return std::nullopt;
        const auto* p = static_cast<const int64_t*>(index.value().data(DType::i64));
        const auto* end = p + index.numel();
        p = std::find_if(p, end, [&](int64_t c) { return (c < 0 || c >= classes) && c != ignored; });
        return p == end ? std::nullopt : std::optional(*p);
      },
      "The first index that is no class, among elements that are known already: nothing is computed for this.");
  m.def(
      "adamw",
      [](const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& g, double beta1, double beta2, double eps,
         double rate, double scale, double decay) {
        NoGrad no_grad;
        return append(std::make_unique<AdamWOp>(kernels::AdamW{beta1, beta2, eps, rate, scale, decay}), {p, m, v, g});
      },
      "The new (p, m, v): m and v decay towards g and g^2; p * decay - rate * m / (sqrt(v) * scale + eps).");
  m.def("dropout",
        [](const Tensor& x, double p, uint64_t seed, uint64_t offset) { return dropout(x, p, seed, offset); });
}

}  // namespace

void bind_ops(nb::module_& m) {
  bind_table(m);
  bind_creation(m);
  bind_shapes(m);
  bind_reductions(m);
  bind_layers(m);
}

}  // namespace ds::py

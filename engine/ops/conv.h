// Two-dimensional convolution and pooling, NCHW.
#pragma once
#include "engine/ops/elementwise.h"

namespace ds {

using Ints = std::vector<int64_t>;  // one a spatial dimension

// What is left out is `value` in each.
inline Ints or_all(const char* op, const Ints& v, size_t n, int64_t value) {
  if (v.empty()) return Ints(n, value);
  if (v.size() != n) fail(op, v.size(), " entries were given for ", n, " spatial dimensions");
  return v;
}

class Conv2dOp final : public Primitive<OpKind::Conv2dOp> {
 public:
  explicit Conv2dOp(Conv2dOptions o) : o_(o) {}
  Types infer(std::span<const Type> in) const override;
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution& e) const override { eval_with_epilogue(e, nullptr, false); }
  bool eval_with_epilogue(Execution&, const void* bias, bool relu) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Conv2dOptions o_;
};

class Conv2dGradInput final : public Primitive<OpKind::Conv2dGradInput> {  // (dy, w) -> dx
 public:
  Conv2dGradInput(Conv2dOptions o, Shape x) : o_(o), x_(x) {}
  Types infer(std::span<const Type> in) const override { return {{in[0].dtype, x_}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Conv2dOptions o_;
  Shape x_;
};

class Conv2dGradWeight final : public Primitive<OpKind::Conv2dGradWeight> {  // (dy, x) -> dw
 public:
  Conv2dGradWeight(Conv2dOptions o, Shape w) : o_(o), w_(w) {}
  Types infer(std::span<const Type> in) const override { return {{in[0].dtype, w_}}; }
  Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override;
  void eval(Execution&) const override;
  Cost cost(std::span<const Type> in, std::span<const Type> out) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Conv2dOptions o_;
  Shape w_;
};

#define DS_POOL_OP(Class)                                                      \
  class Class final : public Primitive<OpKind::Class> {                        \
   public:                                                                     \
    explicit Class(Pool2dOptions o) : o_(o) {}                                 \
    Types infer(std::span<const Type> in) const override;                      \
    Grads vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const override; \
    void eval(Execution&) const override;                                      \
    Attributes attributes() const override;                                    \
    static Made make(const Given& g);                                          \
                                                                               \
   private:                                                                    \
    Pool2dOptions o_;                                                          \
  };
DS_POOL_OP(MaxPool2dOp)
DS_POOL_OP(AvgPool2dOp)
#undef DS_POOL_OP

// (dy, x) -> dx; `positive`: nothing where the maximum is not above zero.
class MaxPool2dGrad final : public Primitive<OpKind::MaxPool2dGrad> {
 public:
  explicit MaxPool2dGrad(Pool2dOptions o, bool positive = false) : o_(o), positive_(positive) {}
  const Pool2dOptions& options() const { return o_; }
  Types infer(std::span<const Type> in) const override { return {in[1]}; }
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Pool2dOptions o_;
  bool positive_;
};

class AvgPool2dGrad final : public Primitive<OpKind::AvgPool2dGrad> {  // dy -> dx
 public:
  AvgPool2dGrad(Pool2dOptions o, Shape x) : o_(o), x_(x) {}
  Types infer(std::span<const Type> in) const override { return {{in[0].dtype, x_}}; }
  Grads vjp(TensorSpan, TensorSpan, TensorSpan grads) const override { return {avg_pool2d(grads[0], o_)}; }
  void eval(Execution&) const override;
  Attributes attributes() const override;
  static Made make(const Given& g);

 private:
  Pool2dOptions o_;
  Shape x_;
};

}  // namespace ds

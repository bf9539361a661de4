// One line a test of an op: forward against a double-precision reference, in every floating dtype and with the plan's
// passes on and off (the bits must not change); gradient against central differences in float64.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/autograd/grad.h"
#include "engine/lazy/executor.h"
#include "engine/lazy/plan.h"
#include "engine/ops/functions.h"

namespace ds::test {

using Doubles = std::vector<double>;
using Function = std::function<Tensor(const std::vector<Tensor>&)>;

struct Input {
  Shape shape;
  double low = -2, high = 2;
};

// The same numbers for the same seed, spread over [low, high], never equal.
inline Doubles numbers(int64_t n, double low, double high, uint64_t seed) {
  Doubles out(n);
  uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
  for (double& v : out) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    v = low + (high - low) * static_cast<double>(x >> 11) / 9007199254740992.0;
  }
  return out;
}

inline Tensor tensor(const Doubles& values, const Shape& shape, DType t) {
  return cast(Tensor::from<double>(std::span<const double>(values), shape), t);
}

inline Doubles doubles(const Tensor& t) { return cast(t, DType::f64).to_vector<double>(); }

inline double tolerance(DType t) {
  return t == DType::f64 ? 1e-11 : t == DType::f32 ? 4e-6 : t == DType::f16 ? 2e-3 : 1.6e-2;
}

inline void expect_near(const Doubles& got, const Doubles& want, double relative, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double scale = 0;
  for (double w : want) scale = std::max(scale, std::isfinite(w) ? std::abs(w) : 0);
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << what << " element " << i << ": got " << got[i] << ", want NaN";
    } else if (std::isinf(want[i])) {
      EXPECT_EQ(got[i], want[i]) << what << " element " << i;
    } else {
      EXPECT_NEAR(got[i], want[i], relative * (std::abs(want[i]) + scale * 0.1) + relative * 1e-3)
          << what << " element " << i;
    }
  }
}

// Weighted sum of f's result: a scalar whose gradient touches every element differently.
inline Tensor weighted(const Tensor& y) {
  return sum(y * tensor(numbers(y.numel(), 0.5, 1.5, 99), y.shape(), y.dtype()));
}

// The passes that change what is computed, or in what steps.
inline constexpr Pass kPasses[] = {Pass::mask_pool_grad, Pass::turn_matmul, Pass::cancel_permutes, Pass::fuse_epilogue,
                                   Pass::fuse_elementwise};

// All passes on but those given.
class Without {
 public:
  explicit Without(std::vector<Pass> off) : off_(std::move(off)) {
    for (Pass p : off_) set_pass(p, false);
  }
  ~Without() {
    for (Pass p : off_) set_pass(p, true);
  }
  Without(const Without&) = delete;
  Without& operator=(const Without&) = delete;

 private:
  std::vector<Pass> off_;
};

// The passes change the plan, never the bits: each of them off, and all.
inline void check_modes(const std::function<Tensor()>& make) {
  std::vector<std::vector<Pass>> modes{{kPasses, std::end(kPasses)}};
  for (Pass p : kPasses) modes.push_back({p});
  Doubles want = doubles(make());
  for (auto& off : modes) {
    Without without(off);
    Doubles got = doubles(make());
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i])))
          << "element " << i << " is " << want[i] << ", and " << got[i] << " without "
          << (off.size() > 1 ? "any pass" : pass_stats()[static_cast<int>(off[0])].name);
  }
}

// d/dx of `f` against (f(x+h) - f(x-h)) / 2h, for the inputs that `wrt` names (empty: all), in float64.
inline void check_gradient(const Function& f, const std::vector<Doubles>& values, const std::vector<Shape>& shapes,
                           std::vector<int> wrt = {}) {
  auto make = [&](const std::vector<Doubles>& v) {
    std::vector<Tensor> out;
    for (size_t i = 0; i < v.size(); ++i) out.push_back(Tensor::from<double>(std::span<const double>(v[i]), shapes[i]));
    return out;
  };
  if (wrt.empty())
    for (size_t i = 0; i < values.size(); ++i) wrt.push_back(static_cast<int>(i));
  std::vector<Tensor> in = make(values), leaves;
  for (int i : wrt) leaves.push_back(in[i].set_requires_grad(true));
  std::vector<Tensor> grads = grad(weighted(f(in)), leaves);
  eval(grads);
  for (size_t k = 0; k < wrt.size(); ++k) {
    Doubles analytic = grads[k].to_vector<double>(), numeric;
    for (size_t e = 0; e < values[wrt[k]].size(); ++e) {
      constexpr double h = 1e-5;
      std::vector<Doubles> up = values, down = values;
      up[wrt[k]][e] += h, down[wrt[k]][e] -= h;
      numeric.push_back((weighted(f(make(up))).item<double>() - weighted(f(make(down))).item<double>()) / (2 * h));
    }
    expect_near(analytic, numeric, 2e-6, "gradient of input " + std::to_string(wrt[k]));
  }
  check_modes([&] {
    std::vector<Tensor> flat;
    for (const Tensor& g : grad(weighted(f(in)), leaves)) flat.push_back(flatten(g));
    return concat(flat);
  });
}

// `reference` takes the inputs' elements, rounded to the dtype, and gives the result's.
inline void check_op(const Function& f, const std::vector<Input>& inputs,
                     const std::function<Doubles(const std::vector<Doubles>&)>& reference, bool differentiable = true,
                     std::vector<DType> dtypes = {DType::f32, DType::f64, DType::bf16, DType::f16},
                     std::vector<int> wrt = {}) {
  std::vector<Doubles> values;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    shapes.push_back(inputs[i].shape);
    values.push_back(numbers(inputs[i].shape.numel(), inputs[i].low, inputs[i].high, i + 7));
  }
  for (DType t : dtypes) {
    std::vector<Tensor> in;
    std::vector<Doubles> rounded;
    for (size_t i = 0; i < values.size(); ++i) {
      in.push_back(tensor(values[i], shapes[i], t).eval());
      rounded.push_back(doubles(in.back()));
    }
    Tensor y = f(in);
    expect_near(doubles(y), reference(rounded), tolerance(t), name_of(t));
    check_modes([&] { return f(in) * 1.5 + 0.25; });
  }
  if (differentiable) check_gradient(f, values, shapes, wrt);
}

inline std::vector<Shape> usual_shapes() { return {{3, 4}, {0}, {1}, {}, {2, 3, 5}, {1031}}; }

#define UNARY_TEST(name, low, high, reference, differentiable)               \
  TEST(Unary, name) {                                                        \
    for (const Shape& s : usual_shapes())                                    \
      check_op([](auto& in) { return ::ds::name(in[0]); }, {{s, low, high}}, \
               [](auto& in) {                                                \
                 Doubles out;                                                \
                 for (double x : in[0]) out.push_back(reference);            \
                 return out;                                                 \
               },                                                            \
               differentiable&& s.numel() < 100);                            \
  }

#define BINARY_TEST(name, low, high, reference, differentiable)                                     \
  TEST(Binary, name) {                                                                              \
    for (const Shape& s : usual_shapes())                                                           \
      check_op([](auto& in) { return ::ds::name(in[0], in[1]); }, {{s, low, high}, {s, low, high}}, \
               [](auto& in) {                                                                       \
                 Doubles out;                                                                       \
                 for (size_t i = 0; i < in[0].size(); ++i) {                                        \
                   double a = in[0][i], b = in[1][i];                                               \
                   out.push_back(reference);                                                        \
                 }                                                                                  \
                 return out;                                                                        \
               },                                                                                   \
               differentiable&& s.numel() < 100);                                                   \
  }

}  // namespace ds::test

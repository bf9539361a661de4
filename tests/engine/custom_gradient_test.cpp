#include "engine/autograd/custom.h"

#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

TEST(CustomGradient, IsAskedForTheInputsGradients) {
  Tensor x = Tensor::from<float>({1, 2, 3}, {3}).set_requires_grad(true), y;
  {
    NoGrad no_grad;
    y = round(x * 1.4);
  }
  Tensor out = custom_gradient({y}, {x}, [](std::span<const Tensor> g) { return std::vector<Tensor>{g[0] * 10.0}; })[0];
  EXPECT_EQ(out.to_vector<float>(), (std::vector<float>{1, 3, 4}));
  EXPECT_EQ(grad(sum(out * out), {&x, 1})[0].to_vector<float>(), (std::vector<float>{20, 60, 80}));
}

TEST(CustomGradient, AGradientOfAnotherShapeIsNamed) {
  Tensor x = ones({3}).eval().detach().set_requires_grad(true);
  Tensor out =
      custom_gradient({ones({2})}, {x}, [](std::span<const Tensor> g) { return std::vector<Tensor>{g[0]}; })[0];
  EXPECT_THROW(grad(sum(out), {&x, 1}), Error);
}

TEST(StopGradient, KeepsTheValueAndComputesNothing) {
  Tensor x = ones({2}).eval().detach().set_requires_grad(true), y = stop_gradient(x * 3.0);
  EXPECT_FALSE(y.evaluated());
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{3, 3}));
}

}  // namespace
}  // namespace ds::test

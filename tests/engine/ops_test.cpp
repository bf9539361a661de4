#include <numeric>

#include "engine/lazy/node.h"
#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

const std::vector<DType> kFloats = {DType::f32, DType::f64};

TEST(Reduce, SumOverEverySubsetOfDimensions) {
  for (std::vector<int64_t> dims :
       std::vector<std::vector<int64_t>>{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}, {-1}})
    check_op([&](auto& in) { return sum(in[0], dims); }, {{{3, 4, 5}}},
             [&](auto& in) {
               Doubles out(60, 0);
               std::vector<bool> reduced(3, false);
               for (int64_t d : dims) reduced[d < 0 ? d + 3 : d] = true;
               int64_t e[3] = {3, 4, 5}, size = 1;
               for (int d = 0; d < 3; ++d) size *= reduced[d] ? 1 : e[d];
               out.assign(size, 0);
               for (int64_t i = 0; i < 60; ++i) {
                 int64_t p[3] = {i / 20, i / 5 % 4, i % 5}, at = 0;
                 for (int d = 0; d < 3; ++d)
                   if (!reduced[d]) at = at * e[d] + p[d];
                 out[at] += in[0][i];
               }
               return out;
             });
}

TEST(Reduce, MeanMaxMinProdVar) {
  auto rows = [](const Doubles& x, auto f) {
    Doubles out;
    for (int i = 0; i < 3; ++i) out.push_back(f(Doubles(x.begin() + i * 5, x.begin() + i * 5 + 5)));
    return out;
  };
  check_op([](auto& in) { return mean(in[0], {1}); }, {{{3, 5}}},
           [&](auto& in) {
             return rows(in[0], [](const Doubles& r) { return std::accumulate(r.begin(), r.end(), 0.0) / 5; });
           });
  check_op(
      [](auto& in) { return amax(in[0], {1}); }, {{{3, 5}}},
      [&](auto& in) { return rows(in[0], [](const Doubles& r) { return *std::max_element(r.begin(), r.end()); }); });
  check_op(
      [](auto& in) { return amin(in[0], {-1}, true); }, {{{3, 5}}},
      [&](auto& in) { return rows(in[0], [](const Doubles& r) { return *std::min_element(r.begin(), r.end()); }); });
  check_op([](auto& in) { return prod(in[0], {1}); }, {{{3, 5}, 0.5, 2}},
           [&](auto& in) {
             return rows(
                 in[0], [](const Doubles& r) { return std::accumulate(r.begin(), r.end(), 1.0, std::multiplies<>()); });
           });
  check_op([](auto& in) { return var(in[0], {1}); }, {{{3, 5}}},
           [&](auto& in) {
             return rows(in[0], [](const Doubles& r) {
               double m = std::accumulate(r.begin(), r.end(), 0.0) / 5, s = 0;
               for (double x : r) s += (x - m) * (x - m);
               return s / 4;
             });
           });
}

// The slope of a product along one factor is the product of the others, zeros or not.
TEST(Reduce, TheGradientOfAProductWithZeros) {
  for (int zeros : {0, 1, 2, 7})
    for (int64_t n : {1, 2, 5, 7}) {
      Doubles values = numbers(2 * n * 3, 0.5, 2, 3);
      for (int z = 0; z < zeros && z < n; ++z) values[z * 3 + 1] = values[(2 * n - 1 - z) * 3] = 0;
      Function f = [](auto& in) { return prod(in[0], {1}); };
      check_gradient(f, {values}, {{2, n, 3}});
      Function slope = [&](auto& in) {
        Tensor x = in[0];
        return grad(weighted(f({x.set_requires_grad(true)})), {&x, 1}, {.create_graph = true})[0];
      };
      if (n > 1 && n < 7) check_gradient(slope, {values}, {{2, n, 3}});
    }
  Tensor none = zeros({2, 0}, DType::f64).detach().set_requires_grad(true);
  EXPECT_EQ(grad(sum(prod(none, {1})), {&none, 1})[0].shape(), (Shape{2, 0}));
}

TEST(Reduce, LogicAndArguments) {
  Tensor x = Tensor::from<float>({1, 5, 5, -2, 0, -3}, {2, 3});
  EXPECT_EQ(argmax(x, 1).to_vector<int64_t>(), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(argmin(x, 0).to_vector<int64_t>(), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(sum(any(less(x, like(x, 0)), {1})).item<int64_t>(), 1);
  EXPECT_EQ(sum(all(less(x, like(x, 9)), {1})).item<int64_t>(), 2);
  EXPECT_EQ(sum(Tensor::from<uint8_t>({200, 200}, {2})).item<int64_t>(), 400);
  EXPECT_EQ(prod(Tensor::from<int32_t>({1 << 20, 1 << 20}, {2})).item<int64_t>(), int64_t{1} << 40);
  EXPECT_THROW(amax(zeros({2, 0}), {1}), Error);
  EXPECT_EQ(sum(zeros({2, 0})).item<float>(), 0);
}

Doubles multiply(const Doubles& a, const Doubles& b, int m, int k, int n) {
  Doubles c(m * n, 0);
  for (int i = 0; i < m; ++i)
    for (int p = 0; p < k; ++p)
      for (int j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
  return c;
}

TEST(Matmul, PlainTransposedAndBatched) {
  check_op([](auto& in) { return matmul(in[0], in[1]); }, {{{5, 7}}, {{7, 3}}},
           [](auto& in) { return multiply(in[0], in[1], 5, 7, 3); });
  check_op([](auto& in) { return matmul(transpose(in[0], 0, 1), transpose(in[1], 0, 1)); }, {{{4, 3}}, {{5, 4}}},
           [](auto& in) {
             Doubles a(12), b(20);
             for (int i = 0; i < 3; ++i)
               for (int p = 0; p < 4; ++p) a[i * 4 + p] = in[0][p * 3 + i];
             for (int p = 0; p < 4; ++p)
               for (int j = 0; j < 5; ++j) b[p * 5 + j] = in[1][j * 4 + p];
             return multiply(a, b, 3, 4, 5);
           });
  for (bool shared : {false, true})
    check_op([](auto& in) { return matmul(in[0], in[1]); }, {{{2, 3, 4}}, {shared ? Shape{4, 2} : Shape{2, 4, 2}}},
             [&](auto& in) {
               Doubles out;
               for (int b = 0; b < 2; ++b) {
                 Doubles w(in[1].begin() + (shared ? 0 : b * 8), in[1].begin() + (shared ? 8 : b * 8 + 8));
                 for (double x : multiply(Doubles(in[0].begin() + b * 12, in[0].begin() + b * 12 + 12), w, 3, 4, 2))
                   out.push_back(x);
               }
               return out;
             });
}

TEST(Matmul, LinearWithBiasAndReluIsOneStep) {
  auto f = [](auto& in) { return relu(linear(in[0], in[1], in[2])); };
  check_op(f, {{{6, 5}}, {{4, 5}}, {{4}}}, [](auto& in) {
    Doubles out;
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 4; ++j) {
        double s = in[2][j];
        for (int p = 0; p < 5; ++p) s += in[0][i * 5 + p] * in[1][j * 5 + p];
        out.push_back(std::max(s, 0.0));
      }
    return out;
  });
  std::vector<Tensor> in{ones({6, 5}), ones({4, 5}), ones({4})};
  eval(in);
  auto before = executor_stats();
  f(in).eval();
  EXPECT_EQ(executor_stats().steps - before.steps, 2u);  // the transpose, and the product with its epilogue
}

TEST(Matmul, TheGradientOfALinearWeightIsContiguous) {
  Tensor w = random_normal({4, 5}, 1).detach().set_requires_grad(true);
  Tensor g = grad(sum(linear(random_normal({6, 5}, 2), w)), {&w, 1})[0].eval();
  EXPECT_TRUE(g.value().contiguous(g.shape()));
}

TEST(Matmul, NothingToSumOverGivesZeros) {
  struct Case {
    Shape a, b, y;
  };
  for (const Case& c : {Case{{2, 3, 0}, {0, 4}, {2, 3, 4}},
                        {{2, 3, 0}, {2, 0, 4}, {2, 3, 4}},
                        {{3, 0}, {2, 0, 4}, {2, 3, 4}},
                        {{2, 1, 3, 0}, {5, 0, 4}, {2, 5, 3, 4}},
                        {{0}, {0, 4}, {4}},
                        {{2, 3, 0}, {0}, {2, 3}},
                        {{0, 3, 2}, {2, 4}, {0, 3, 4}}}) {
    Tensor a = zeros(c.a).detach().set_requires_grad(true), b = zeros(c.b).detach().set_requires_grad(true);
    Tensor y = matmul(a, b);
    EXPECT_EQ(y.shape(), c.y);
    EXPECT_EQ(y.to_vector<float>(), std::vector<float>(c.y.numel(), 0));
    std::vector<Tensor> of{a, b}, g = grad(sum(y), of);
    EXPECT_EQ(g[0].eval().shape(), c.a);
    EXPECT_EQ(g[1].to_vector<float>(), std::vector<float>(c.b.numel(), 0));
  }
  Tensor bias = Tensor::from<float>({1, -2}, {2});
  EXPECT_EQ(relu(linear(zeros({2, 2, 0}), zeros({2, 0}), bias)).to_vector<float>(),
            (std::vector<float>{1, 0, 1, 0, 1, 0, 1, 0}));
}

TEST(Matmul, ErrorsNameBothShapes) {
  try {
    matmul(zeros({64, 784}), zeros({256, 10}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[matmul] inner dimensions differ: got (64,784) x (256,10)");
  }
}

Doubles convolve(const Doubles& x, const Doubles& w, int n, int c, int h, int wd, int o, int k, int stride, int pad,
                 int dilation, int groups) {
  int span = dilation * (k - 1) + 1, oh = (h + 2 * pad - span) / stride + 1, ow = (wd + 2 * pad - span) / stride + 1,
      cg = c / groups, og = o / groups;
  Doubles y;
  for (int b = 0; b < n; ++b)
    for (int f = 0; f < o; ++f)
      for (int i = 0; i < oh; ++i)
        for (int j = 0; j < ow; ++j) {
          double s = 0;
          for (int q = 0; q < cg; ++q)
            for (int u = 0; u < k; ++u)
              for (int v = 0; v < k; ++v) {
                int r = i * stride - pad + u * dilation, t = j * stride - pad + v * dilation;
                if (r < 0 || t < 0 || r >= h || t >= wd) continue;
                s += x[((b * c + f / og * cg + q) * h + r) * wd + t] * w[((f * cg + q) * k + u) * k + v];
              }
          y.push_back(s);
        }
  return y;
}

TEST(Conv2d, StridesPaddingDilationGroups) {
  struct Case {
    int c, h, w, o, k, stride, pad, dilation, groups;
  };
  for (Case t : {Case{1, 6, 6, 3, 3, 1, 1, 1, 1},
                 {2, 5, 7, 4, 3, 2, 1, 1, 1},
                 {4, 7, 6, 4, 3, 1, 2, 2, 2},
                 {2, 4, 4, 2, 1, 1, 0, 1, 2}}) {
    Conv2dOptions o{t.stride, t.stride, t.pad, t.pad, t.dilation, t.dilation, t.groups};
    check_op([&](auto& in) { return conv2d(in[0], in[1], {}, o); },
             {{{2, t.c, t.h, t.w}}, {{t.o, t.c / t.groups, t.k, t.k}}},
             [&](auto& in) {
               return convolve(in[0], in[1], 2, t.c, t.h, t.w, t.o, t.k, t.stride, t.pad, t.dilation, t.groups);
             },
             true, kFloats);
  }
}

TEST(Conv2d, BiasAndReluAreFused) {
  auto f = [](auto& in) { return relu(conv2d(in[0], in[1], in[2], {.pad_h = 1, .pad_w = 1})); };
  check_op(
      f, {{{2, 2, 5, 5}}, {{3, 2, 3, 3}}, {{3}}},
      [](auto& in) {
        Doubles y = convolve(in[0], in[1], 2, 2, 5, 5, 3, 3, 1, 1, 1, 1);
        for (size_t i = 0; i < y.size(); ++i) y[i] = std::max(0.0, y[i] + in[2][i / 25 % 3]);
        return y;
      },
      true, kFloats);
}

TEST(Pool2d, MaxAndAverage) {
  for (bool max : {true, false})
    check_op([&](auto& in) { return max ? max_pool2d(in[0]) : avg_pool2d(in[0]); }, {{{2, 3, 4, 6}}},
             [&](auto& in) {
               Doubles out;
               for (int p = 0; p < 6; ++p)
                 for (int i = 0; i < 2; ++i)
                   for (int j = 0; j < 3; ++j) {
                     double m = -1e9, s = 0;
                     for (int u = 0; u < 2; ++u)
                       for (int v = 0; v < 2; ++v) {
                         double x = in[0][p * 24 + (2 * i + u) * 6 + 2 * j + v];
                         m = std::max(m, x), s += x / 4;
                       }
                     out.push_back(max ? m : s);
                   }
               return out;
             },
             true, kFloats);
}

TEST(Pool2d, TheGradientBehindAReluIsMasked) {
  Tensor x = tensor(numbers(2 * 3 * 8 * 8, -1, 0.5, 4), {2, 3, 8, 8}, DType::f64).detach().set_requires_grad(true);
  for (Pool2dOptions o : {Pool2dOptions{}, Pool2dOptions{3, 3, 1, 2, 1, 0}}) {
    uint64_t steps = 0;
    auto gradient = [&](bool hold, bool look) {
      Tensor held = relu(x), y = max_pool2d(held, o);
      if (!hold) held = {};
      if (look) y.eval();
      Tensor g = grad(weighted(y), {&x, 1})[0];
      uint64_t before = executor_stats().nodes;
      Doubles out = g.to_vector<double>();
      steps = executor_stats().nodes - before;
      return out;
    };
    Doubles want;
    uint64_t unmasked;
    {
      Without off({Pass::mask_pool_grad});
      want = gradient(false, false);
      unmasked = steps;
    }
    EXPECT_TRUE(std::count(want.begin(), want.end(), 0.0) > 0);
    for (bool hold : {false, true}) {
      EXPECT_EQ(gradient(hold, false), want);
      EXPECT_LT(steps, unmasked) << "it does not matter who holds the relu";
      EXPECT_EQ(gradient(hold, true), want);
    }
  }
  Tensor held = relu(x), y = max_pool2d(held);
  EXPECT_EQ(sum(grad(sum(y), {&held, 1})[0]).item<double>(), static_cast<double>(y.numel()));
}

TEST(Pool2d, AReluOutsideOfAutogradStaysOutside) {
  Tensor x = contiguous(ones({1, 1, 2, 2})).detach().set_requires_grad(true), y;
  {
    NoGrad off;
    y = relu(x);
  }
  y = max_pool2d(y);
  EXPECT_FALSE(y.requires_grad());
}

TEST(Normalize, SoftmaxAndLogSoftmax) {
  for (bool log : {false, true})
    check_op([&](auto& in) { return log ? log_softmax(in[0]) : softmax(in[0]); }, {{{3, 7}, -5, 5}},
             [&](auto& in) {
               Doubles out;
               for (int i = 0; i < 3; ++i) {
                 double s = 0;
                 for (int j = 0; j < 7; ++j) s += std::exp(in[0][i * 7 + j]);
                 for (int j = 0; j < 7; ++j)
                   out.push_back(log ? in[0][i * 7 + j] - std::log(s) : std::exp(in[0][i * 7 + j]) / s);
               }
               return out;
             });
  Tensor x = tensor(numbers(12, -2, 2, 5), {3, 4}, DType::f32);
  expect_near(doubles(softmax(x, 0)), doubles(transpose(softmax(transpose(x, 0, 1)), 0, 1)), 1e-6,
              "softmax over dimension 0");
}

TEST(Normalize, CrossEntropyIgnoresTargetsOutside) {
  Tensor target = Tensor::from<int64_t>({2, 0, -100}, {3});
  check_op([&](auto& in) { return cross_entropy(in[0], target, Reduction::none); }, {{{3, 4}, -3, 3}},
           [](auto& in) {
             Doubles out;
             int t[] = {2, 0, -100};
             for (int i = 0; i < 3; ++i) {
               double s = 0;
               for (int j = 0; j < 4; ++j) s += std::exp(in[0][i * 4 + j]);
               out.push_back(t[i] < 0 ? 0 : std::log(s) - in[0][i * 4 + t[i]]);
             }
             return out;
           });
}

TEST(Normalize, LayerNorm) {
  check_op([](auto& in) { return layer_norm(in[0], in[1], in[2]); }, {{{4, 6}}, {{6}}, {{6}}},
           [](auto& in) {
             Doubles out;
             for (int i = 0; i < 4; ++i) {
               double m = 0, v = 0;
               for (int j = 0; j < 6; ++j) m += in[0][i * 6 + j] / 6;
               for (int j = 0; j < 6; ++j) v += (in[0][i * 6 + j] - m) * (in[0][i * 6 + j] - m) / 6;
               for (int j = 0; j < 6; ++j)
                 out.push_back((in[0][i * 6 + j] - m) / std::sqrt(v + 1e-5) * in[1][j] + in[2][j]);
             }
             return out;
           });
}

TEST(Index, TakeGatherScatterAndTheirGradients) {
  Tensor rows = Tensor::from<int64_t>({2, 0, 2, -1}, {2, 2});
  check_op([&](auto& in) { return take(in[0], rows, 0); }, {{{3, 2}}},
           [](auto& in) {
             Doubles out;
             for (int r : {2, 0, 2, 2})
               for (int j = 0; j < 2; ++j) out.push_back(in[0][r * 2 + j]);
             return out;
           });
  Tensor index = Tensor::from<int64_t>({0, 1, 1, 0, 0, 2}, {2, 3});
  check_op([&](auto& in) { return gather(in[0], 1, index); }, {{{2, 3}}},
           [](auto& in) { return Doubles{in[0][0], in[0][1], in[0][1], in[0][3], in[0][3], in[0][5]}; });
  check_op([&](auto& in) { return scatter_add(in[0], 1, index, in[1]); }, {{{2, 3}}, {{2, 3}}},
           [](auto& in) {
             Doubles y = in[0];
             int at[] = {0, 1, 1, 3, 3, 5};
             for (int i = 0; i < 6; ++i) y[at[i]] += in[1][i];
             return y;
           });
}

TEST(Index, OutOfRangeIsAnErrorThatNamesTheOpTheIndexAndTheSize) {
  auto message = [](const Tensor& t) -> std::string {
    try {
      t.eval();
    } catch (const IndexError& e) {
      return e.what();
    }
    return "no Error";
  };
  Tensor x = zeros({3, 2}), index = Tensor::from<int64_t>({3}, {1});
  EXPECT_EQ(message(take(x, index, 0)), "[take] index 3 is out of range for size 3");
  EXPECT_EQ(message(embedding(index, x)), "[take] index 3 is out of range for size 3");
  Tensor wide = Tensor::from<int64_t>({0, 1, -3, 0, 1, 0}, {3, 2});
  EXPECT_EQ(message(gather(x, 1, wide)), "[gather] index -3 is out of range for size 2");
  EXPECT_EQ(message(scatter_add(x, 1, wide, x)), "[scatter_add] index -3 is out of range for size 2");
}

TEST(View, EveryViewIsRightForwardAndBack) {
  check_op(
      [](auto& in) {
        return permute(in[0], {2, 0, 1});
      },
      {{{2, 3, 4}}},
      [](auto& in) {
        Doubles out;
        for (int k = 0; k < 4; ++k)
          for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 3; ++j) out.push_back(in[0][(i * 3 + j) * 4 + k]);
        return out;
      });
  check_op([](auto& in) { return reshape(transpose(in[0], 0, 1), {-1}); }, {{{3, 4}}},
           [](auto& in) {
             Doubles out;
             for (int j = 0; j < 4; ++j)
               for (int i = 0; i < 3; ++i) out.push_back(in[0][i * 4 + j]);
             return out;
           });
  check_op([](auto& in) { return slice(in[0], 1, 1, 6, 2); }, {{{2, 7}}},
           [](auto& in) {
             Doubles out;
             for (int i = 0; i < 2; ++i)
               for (int j = 1; j < 6; j += 2) out.push_back(in[0][i * 7 + j]);
             return out;
           });
  check_op(
      [](auto& in) {
        return concat({in[0], in[1], in[0]}, 1);
      },
      {{{2, 2}}, {{2, 3}}},
      [](auto& in) {
        Doubles out;
        for (int i = 0; i < 2; ++i)
          for (int part : {0, 1, 0})
            for (int j = 0; j < (part ? 3 : 2); ++j) out.push_back(in[part][i * (part ? 3 : 2) + j]);
        return out;
      });
  check_op(
      [](auto& in) {
        return squeeze(unsqueeze(broadcast_to(in[0], {3, 2, 4}), 0), 0);
      },
      {{{2, 1}}},
      [](auto& in) {
        Doubles out;
        for (int i = 0; i < 24; ++i) out.push_back(in[0][i / 4 % 2]);
        return out;
      });
}

// As many dimensions as a shape has, none of which can be merged with its neighbour.
TEST(View, EightDimensionsThroughEveryKindOfOp) {
  for (int rank : {7, 8}) {
    Shape shape;
    std::vector<int64_t> backwards, every_other;
    for (int d = 0; d < rank; ++d) {
      shape.push_back(d % 3 == 2 ? 3 : 2);
      backwards.push_back(rank - 1 - d);
      if (d % 2) every_other.push_back(d);
    }
    Shape turned = permute(zeros(shape), backwards).shape();
    auto at = [&](int64_t i) {  // of element i of the permutation, in the original
      int64_t from = 0, step = 1;
      std::vector<int64_t> place(rank);
      for (int d = rank - 1; d >= 0; --d) place[d] = i % turned[d], i /= turned[d];
      for (int d = rank - 1; d >= 0; --d) from += place[rank - 1 - d] * step, step *= shape[d];
      return from;
    };
    auto permuted = [&](const Doubles& x) {
      Doubles out;
      for (int64_t i = 0; i < shape.numel(); ++i) out.push_back(x[at(i)]);
      return out;
    };
    check_op([&](auto& in) { return permute(in[0], backwards); }, {{shape}}, [&](auto& in) { return permuted(in[0]); },
             false, kFloats);
    check_op([&](auto& in) { return permute(in[0], backwards) * in[1]; }, {{shape}, {turned}},
             [&](auto& in) {
               Doubles out = permuted(in[0]);
               for (size_t i = 0; i < out.size(); ++i) out[i] *= in[1][i];
               return out;
             },
             false, kFloats);
    // Sums over every other dimension, one at a time and at once.
    Tensor x = tensor(numbers(shape.numel(), -1, 1, 2), shape, DType::f64), stepwise = x;
    for (int64_t d : every_other) stepwise = sum(stepwise, {d}, true);
    expect_near(doubles(sum(x, every_other, true)), doubles(stepwise), 1e-12, "sum");
    expect_near(doubles(amax(permute(x, backwards), {0})),
                doubles(permute(amax(x, {-1}), std::vector<int64_t>(backwards.begin() + 1, backwards.end()))), 0,
                "amax");
    // A product batched over all but two dimensions, read through a permutation.
    Tensor y = permute(tensor(numbers(shape.numel(), -1, 1, 3), turned, DType::f64), backwards);
    Tensor product = matmul(x, transpose(y, -2, -1));
    std::vector<int64_t> flat{-1, shape[rank - 2], shape[rank - 1]};
    expect_near(doubles(product), doubles(matmul(reshape(x, flat), transpose(reshape(contiguous(y), flat), -2, -1))),
                1e-12, "matmul");
    Tensor part = slice(permute(x, backwards), 0, 1, 2);
    expect_near(doubles(concat({part, part}, 1)), doubles(concat({contiguous(part), contiguous(part)}, 1)), 0,
                "concat");
  }
  EXPECT_THROW(unsqueeze(zeros({1, 1, 1, 1, 1, 1, 1, 1}), 0), Error);
}

TEST(Random, StreamsAreRepeatableAndSpread) {
  Tensor a = random_uniform({10000}, 7), b = random_uniform({10000}, 7), c = random_uniform({10000}, 8);
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
  EXPECT_NE(a.to_vector<float>(), c.to_vector<float>());
  EXPECT_NEAR(mean(a).item<float>(), 0.5, 0.01);
  // A part of the stream is the stream from an offset: layouts see the same numbers.
  auto whole = a.to_vector<float>(), tail = random_uniform({9600}, 7, 100).to_vector<float>();
  EXPECT_EQ(std::vector<float>(whole.begin() + 400, whole.end()), tail);
  Tensor n = random_normal({20000}, 3);
  EXPECT_NEAR(mean(n).item<float>(), 0, 0.02);
  EXPECT_NEAR(var(n).item<float>(), 1, 0.03);
}

TEST(Random, DropoutKeepsTheMean) {
  Tensor y = dropout(ones({20000}), 0.25, 11);
  EXPECT_NEAR(mean(y).item<float>(), 1, 0.02);
  EXPECT_NEAR(mean(cast(equal(y, like(y, 0)), DType::f32)).item<float>(), 0.25, 0.02);
}

}  // namespace
}  // namespace ds::test

#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

using I = std::vector<int64_t>;

Tensor random(const Shape& s, uint64_t seed = 3) {
  return tensor(numbers(s.numel(), -1, 1, seed), s, DType::f64).eval();
}
void same(const Tensor& got, const Tensor& want, const char* what) {
  EXPECT_EQ(got.shape(), want.shape()) << what;
  expect_near(doubles(got), doubles(want), 1e-11, what);
}

TEST(Pad, EveryMode) {
  Tensor x = Tensor::from<float>({1, 2, 3}, {1, 3});
  auto p = [&](const I& pads, PadMode m) { return doubles(pad(x, pads, m, 9)); };
  EXPECT_EQ(p({1, 2}, PadMode::constant), (Doubles{9, 1, 2, 3, 9, 9}));
  EXPECT_EQ(p({-1, 1}, PadMode::constant), (Doubles{2, 3, 9}));
  EXPECT_EQ(p({2, 1}, PadMode::reflect), (Doubles{3, 2, 1, 2, 3, 2}));
  EXPECT_EQ(p({2, 1}, PadMode::replicate), (Doubles{1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(p({2, 1}, PadMode::circular), (Doubles{2, 3, 1, 2, 3, 1}));
  EXPECT_THROW(pad(x, {3, 0}, PadMode::reflect), Error);
  for (PadMode m : {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular})
    check_gradient([&](auto& in) { return pad(in[0], {2, 1, 1, 0}, m); }, {numbers(12, -1, 1, 3)}, {{3, 4}});
}

// Against the plain sum over the kernel.
Tensor plain_conv(const Tensor& x, const Tensor& w, int64_t s, int64_t p, int64_t d) {  // (n,c,l)
  Tensor padded = pad(x, {p, p}), y;
  int64_t out = (padded.size(2) - d * (w.size(2) - 1) - 1) / s + 1;
  for (int64_t k = 0; k < w.size(2); ++k) {
    Tensor part = matmul(squeeze(slice(w, 2, k, k + 1), 2), slice(padded, 2, k * d, k * d + (out - 1) * s + 1, s));
    y = y ? y + part : part;
  }
  return y;
}

TEST(Conv, LinesAndVolumes) {
  Tensor x = random({2, 3, 11}), w = random({4, 3, 3}, 4);
  ConvOptions o{{2}, {1}, {2}, 1};
  same(conv(x, w, {}, o), plain_conv(x, w, 2, 1, 2), "conv1d");
  // A volume whose kernel is a product over depth and the rest.
  Tensor v = random({2, 3, 6, 5, 4}), k = random({4, 3, 2, 3, 2}, 5);
  ConvOptions o3{{2, 1, 1}, {1, 1, 0}, {1, 1, 2}, 1};
  Tensor y = conv(v, k, random({4}, 6), o3);
  EXPECT_EQ(y.shape(), (Shape{2, 4, 4, 5, 2}));
  double want = random({4}, 6).to_vector<double>()[1];  // element (0, 1, 1, 0, 0) by hand
  auto vv = v.to_vector<double>(), kk = k.to_vector<double>();
  for (int c = 0; c < 3; ++c)
    for (int a = 0; a < 2; ++a)
      for (int b = 1; b < 3; ++b)
        for (int e = 0; e < 2; ++e)
          want += vv[((c * 6 + 1 + a) * 5 + b - 1) * 4 + 2 * e] * kk[(((3 + c) * 2 + a) * 3 + b) * 2 + e];
  EXPECT_NEAR(y.to_vector<double>()[(4 + 1) * 10], want, 1e-12);
  check_gradient([&](auto& in) { return conv(in[0], in[1], in[2], o3); },
                 {numbers(1 * 2 * 3 * 3 * 3, -1, 1, 1), numbers(2 * 2 * 2 * 3 * 2, -1, 1, 2), numbers(2, -1, 1, 3)},
                 {{1, 2, 3, 3, 3}, {2, 2, 2, 3, 2}, {2}});
}

// <conv(x), y> = <x, conv_transpose(y)>: the one is the other's adjoint.
TEST(Conv, TransposedIsTheAdjoint) {
  struct Case {
    Shape x, w;
    ConvOptions o;
    I more;
  };
  for (const Case& c : {Case{{2, 4, 9}, {6, 2, 3}, {{2}, {1}, {1}, 2}, {0}},
                        Case{{2, 4, 8, 7}, {6, 2, 3, 2}, {{2, 1}, {1, 0}, {1, 2}, 2}, {1, 0}},
                        Case{{1, 2, 6, 5, 5}, {3, 2, 2, 3, 3}, {{2, 2, 1}, {1, 1, 1}, {1, 1, 1}, 1}, {0, 0, 0}}}) {
    Tensor x = random(c.x), w = random(c.w, 4), y = conv(x, w, {}, c.o), g = random(y.shape(), 5);
    Tensor back = conv_transpose(g, w, {}, c.o, c.more);
    ASSERT_EQ(back.shape(), x.shape());
    EXPECT_NEAR(sum(y * g).item<double>(), sum(x * back).item<double>(), 1e-10);
  }
  check_gradient(
      [](auto& in) {
        return conv_transpose(in[0], in[1], in[2], {{2}, {1}, {}, 1}, {1});
      },
      {numbers(8, -1, 1, 1), numbers(18, -1, 1, 2), numbers(3, -1, 1, 3)}, {{1, 2, 4}, {2, 3, 3}, {3}});
  EXPECT_EQ(conv(cast(random({1, 1, 4}), DType::bf16), cast(random({1, 1, 3}), DType::bf16)).dtype(), DType::bf16);
}

TEST(Windows, UnfoldAndFold) {
  Tensor x = random({2, 3, 6, 5}), w = random({4, 3, 3, 2}, 4);
  WindowOptions o{{3, 2}, {2, 1}, {1, 1}, {1, 2}};
  Tensor columns = unfold(x, o);
  Tensor y = matmul(reshape(w, {4, 18}), columns);
  Tensor want = conv(x, w, {}, {o.stride, o.padding, o.dilation, 1});
  same(reshape(y, {want.shape().begin(), want.shape().end()}), want, "conv by columns");
  Tensor g = random(columns.shape(), 7);
  EXPECT_NEAR(sum(columns * g).item<double>(), sum(x * fold(g, {6, 5}, o)).item<double>(), 1e-10);
}

TEST(Pool, MaximaKnowTheirPlaces) {
  Tensor x = Tensor::from<float>({1, 5, 2, 0, 3, 4, 9, 9, 1, 7}, {1, 1, 2, 5});
  Pooled p = max_pool(x, {{2, 2}, {}, {}, {}, true});
  EXPECT_EQ(doubles(p.values), (Doubles{9, 9, 7}));
  EXPECT_EQ(p.indices.to_vector<int64_t>(), (I{6, 7, 9}));
  p = max_pool(x, {{3}, {2}, {1}, {}});
  EXPECT_EQ(doubles(p.values), (Doubles{5, 5, 3, 9, 9, 7}));
  EXPECT_EQ(max_pool(random({1, 2, 5, 6, 7}), {{2, 3, 2}, {1, 2, 3}, {1, 1, 0}, {1, 1, 2}}).values.shape(),
            (Shape{1, 2, 6, 3, 2}));
  Tensor two = random({2, 3, 9, 8});
  same(max_pool(two, {{3, 3}, {2, 2}, {1, 1}, {}}).values, max_pool2d(two, {3, 3, 2, 2, 1, 1}), "max");
  same(avg_pool(two, {{3, 3}, {2, 2}, {1, 1}, {}}), avg_pool2d(two, {3, 3, 2, 2, 1, 1}), "avg");
  EXPECT_EQ(adaptive_max_pool(x, {1, 3}).indices.to_vector<int64_t>(), (I{6, 6, 9}));
  check_gradient(
      [](auto& in) {
        return max_pool(in[0], {{2, 2}, {1, 1}, {1, 1}, {}}).values;
      },
      {numbers(24, -1, 1, 3)}, {{2, 3, 4}});
}

TEST(Pool, AveragesDivideAsAsked) {
  Tensor x = Tensor::from<float>({1, 2, 3, 4, 5}, {1, 1, 5});
  EXPECT_EQ(doubles(avg_pool(x, {{2}, {}, {1}, {}})), (Doubles{0.5, 2.5, 4.5}));
  EXPECT_EQ(doubles(avg_pool(x, {{2}, {}, {1}, {}, false, false})), (Doubles{1, 2.5, 4.5}));
  EXPECT_EQ(doubles(avg_pool(x, {{2}, {}, {}, {}, true})), (Doubles{1.5, 3.5, 5}));
  EXPECT_EQ(doubles(avg_pool(x, {{2}, {}, {}, {}, false, true, 4})), (Doubles{0.75, 1.75}));
  expect_near(doubles(adaptive_avg_pool(x, {3})), {1.5, 3, 4.5}, 1e-6, "adaptive");
  check_gradient(
      [](auto& in) {
        return avg_pool(in[0], {{2, 2, 2}, {1, 2, 1}, {1, 0, 1}, {}});
      },
      {numbers(48, -1, 1, 3)}, {{2, 2, 3, 4}});
}

// softmax(q k^T scale + mask) v, all at once.
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  Tensor s = matmul(q, transpose(k, -2, -1)) * (1 / std::sqrt(static_cast<double>(q.size(-1))));
  return matmul(softmax(mask ? s + mask : s, -1), v);
}

TEST(Attention, IsTheCompositionsValue) {
  for (int64_t n : {5, 200, 300}) {
    Tensor q = random({2, 4, n, 8}), k = random({2, 2, n, 8}, 4), v = random({2, 2, n, 6}, 5);
    auto twice = [&](const Tensor& x) {
      Tensor wide = broadcast_to(unsqueeze(x, 2), {2, 2, 2, n, x.size(3)});
      return reshape(wide, {2, 4, n, x.size(3)});
    };
    Tensor lower = tril(ones({n, n}, DType::f64)),
           never = where(cast(lower, DType::boolean), lower * 0.0, like(lower, -INFINITY));
    same(scaled_dot_product_attention(q, k, v), plain(q, twice(k), twice(v), {}), "plain");
    same(scaled_dot_product_attention(q, k, v, {.mask = {}, .causal = true}), plain(q, twice(k), twice(v), never),
         "causal");
    same(scaled_dot_product_attention(q, k, v, {.mask = cast(lower, DType::boolean)}),
         plain(q, twice(k), twice(v), never), "bool");
    Tensor bias = random({2, 1, n, n}, 9);
    same(scaled_dot_product_attention(q, k, v, {.mask = bias}), plain(q, twice(k), twice(v), bias), "added");
  }
  Tensor none =
      scaled_dot_product_attention(ones({2, 3}), ones({2, 3}), ones({2, 3}), {.mask = zeros({2, 2}, DType::boolean)});
  EXPECT_EQ(doubles(none), Doubles(6, 0));
}

TEST(Attention, GradientsAreThoseOfTheComposition) {
  const int64_t n = 150;
  Tensor q = random({1, 2, n, 4}), k = random({1, 2, n, 4}, 4), v = random({1, 2, n, 4}, 5), bias = random({n, n}, 6);
  Tensor lower = tril(ones({n, n}, DType::f64)),
         never = where(cast(lower, DType::boolean), lower * 0.0, like(lower, -INFINITY));
  std::vector<Tensor> in{q.detach(), k.detach(), v.detach(), bias.detach()};
  for (Tensor& t : in) t.set_requires_grad(true);
  Tensor ours = weighted(scaled_dot_product_attention(in[0], in[1], in[2], {.mask = in[3], .causal = true}));
  std::vector<Tensor> got = grad(ours, in);
  std::vector<Tensor> want = grad(weighted(plain(in[0], in[1], in[2], in[3] + never)), in);
  for (size_t i = 0; i < 4; ++i) same(got[i], want[i], "gradient");
  check_gradient(
      [](auto& in) { return scaled_dot_product_attention(in[0], in[1], in[2], {.mask = {}, .causal = true}); },
      {numbers(12, -1, 1, 1), numbers(12, -1, 1, 2), numbers(12, -1, 1, 3)}, {{2, 3, 2}, {2, 3, 2}, {2, 3, 2}});
}

}  // namespace
}  // namespace ds::test

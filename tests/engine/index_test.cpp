#include <numeric>

#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

using I = std::vector<int64_t>;
using F = std::vector<float>;

Tensor ints(const I& v) { return Tensor::from<int64_t>(std::span<const int64_t>(v), {static_cast<int64_t>(v.size())}); }
Tensor ints(const I& v, const Shape& s) { return Tensor::from<int64_t>(std::span<const int64_t>(v), s); }

TEST(Boxes, ReadAndWriteWithStepsOfBothSigns) {
  Tensor x = arange(0, 24, 1, DType::f32).eval();
  x = reshape(x, {4, 6});
  Tensor y = slice_box(x, {3, 1}, {2, 3}, {-2, 2});
  EXPECT_EQ(y.to_vector<float>(), (F{19, 21, 23, 7, 9, 11}));
  EXPECT_EQ((y * 2.0).to_vector<float>(), (F{38, 42, 46, 14, 18, 22}));
  Tensor w = slice_update(x, y * -1.0, {3, 1}, {2, 3}, {-2, 2});
  EXPECT_EQ(sum(w).item<float>(), 276 - 2 * (19 + 21 + 23 + 7 + 9 + 11));
  EXPECT_EQ(w.to_vector<float>()[19], -19);
  EXPECT_EQ(x.to_vector<float>()[19], 19) << "the base is somebody's still";
  EXPECT_EQ(flip(x, {0, 1}).to_vector<float>()[0], 23);
  EXPECT_EQ(flip(x, {1}).to_vector<float>()[0], 5);
  EXPECT_EQ(roll(ints({1, 2, 3, 4}), 1, 0).to_vector<int64_t>(), (I{4, 1, 2, 3}));
  EXPECT_THROW(slice_box(x, {3, 1}, {3, 3}, {-2, 2}), Error);
  check_gradient(
      [](auto& in) {
        return slice_update(in[0], in[1], {3, 1}, {2, 3}, {-2, 2});
      },
      {numbers(24, -1, 1, 1), numbers(6, -1, 1, 2)}, {{4, 6}, {2, 3}});
  check_gradient([](auto& in) { return flip(in[0], {1}) * in[0]; }, {numbers(12, -1, 1, 1)}, {{3, 4}});
}

TEST(Boxes, AWriteStaysInMemoryNobodyElseSees) {
  Tensor x = (zeros({1000}) + 1.0).eval();
  const void* at = x.data();
  x = slice_update(std::move(x), scalar(5), {10}, {3}, {1});
  EXPECT_EQ(x.eval().data(), at);
  EXPECT_EQ(sum(x).item<float>(), 1012);
  x = index_add(std::move(x), 0, ints({1, -1}), full({2}, 2));
  EXPECT_EQ(x.eval().data(), at);
  EXPECT_EQ(x.to_vector<float>()[999], 3);
  Tensor other = x;
  x = slice_update(x, scalar(7), {0}, {1}, {1});
  EXPECT_EQ(x.to_vector<float>()[0], 7);
  EXPECT_EQ(other.to_vector<float>()[0], 1);
}

TEST(Writes, SlicesByIndex) {
  Tensor x = zeros({3, 2});
  Tensor v = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  EXPECT_EQ(index_copy(x, 0, ints({2, 0, 2}), v).to_vector<float>(), (F{3, 4, 0, 0, 5, 6}));
  EXPECT_EQ(index_add(x, 0, ints({-1, 0, -1}), v).to_vector<float>(), (F{3, 4, 0, 0, 6, 8}));
  try {
    index_add(x, 0, ints({3}), zeros({1, 2})).eval();
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[index_update] index 3 is out of range for size 3");
  }
  EXPECT_THROW(take(x, ints({-4}), 0).eval(), Error);
  for (auto* f : {&index_copy, &index_add})
    check_gradient(
        [&](auto& in) {
          return (*f)(in[0], 1, ints({0, 2, 0}), in[1]);
        },
        {numbers(8, -1, 1, 3), numbers(6, -1, 1, 4)}, {{2, 4}, {2, 3}});
}

TEST(Writes, SeveralIndices) {
  Tensor x = reshape(arange(0, 24, 1, DType::f32), {2, 3, 4});
  Tensor i = ints({1, -2}), j = ints({2, 0});
  EXPECT_EQ(index(x, {i, j}).to_vector<float>(), (F{20, 21, 22, 23, 0, 1, 2, 3}));
  EXPECT_EQ(index(x, {i, {}, j}).shape(), (Shape{2, 3}));
  EXPECT_EQ(index(x, {i, {}, j}).to_vector<float>(), (F{14, 18, 22, 0, 4, 8}));
  Tensor y = index_put(x, {i, {}, j}, scalar(-1));
  EXPECT_EQ(index(y, {i, {}, j}).to_vector<float>(), F(6, -1));
  EXPECT_EQ(sum(y).item<float>(), 276 - 66 - 6);
  EXPECT_EQ(index_put(zeros({3}), {ints({1, 1})}, ones({2}), true).to_vector<float>(), (F{0, 2, 0}));
  EXPECT_THROW(index(x, {ints({0}), ints({3})}), Error);
  check_gradient(
      [&](auto& in) {
        return index_put(in[0], {ints({0, 1}), ints({2, 2})}, in[1], true);
      },
      {numbers(12, -1, 1, 3), numbers(4, -1, 1, 4)}, {{2, 3, 2}, {2, 2}});
}

TEST(Writes, ScatterAndItsReductions) {
  Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}), v = Tensor::from<float>({10, 20, 30, 40}, {2, 2});
  Tensor at = ints({0, 0, 2, 1}, {2, 2});
  EXPECT_EQ(scatter(x, 1, at, v).to_vector<float>(), (F{20, 2, 3, 4, 40, 30}));
  auto r = [&](ScatterReduce how, bool self) { return scatter_reduce(x, 1, at, v, how, self).to_vector<float>(); };
  EXPECT_EQ(r(ScatterReduce::sum, true), (F{31, 2, 3, 4, 45, 36}));
  EXPECT_EQ(r(ScatterReduce::sum, false), (F{30, 2, 3, 4, 40, 30}));
  EXPECT_EQ(r(ScatterReduce::prod, false), (F{200, 2, 3, 4, 40, 30}));
  EXPECT_EQ(r(ScatterReduce::mean, false), (F{15, 2, 3, 4, 40, 30}));
  EXPECT_EQ(r(ScatterReduce::amax, true), (F{20, 2, 3, 4, 40, 30}));
  EXPECT_EQ(r(ScatterReduce::amin, false), (F{10, 2, 3, 4, 40, 30}));
  Tensor small = Tensor::from<int8_t>({5, 5}, {2});
  EXPECT_EQ(doubles(scatter_reduce(small, 0, ints({0}), small * -1.0, ScatterReduce::amax, false)), (Doubles{-5, 5}));
  EXPECT_EQ(scatter(x, 0, ints({1}, {1, 1}), ones({1, 1})).to_vector<float>(), (F{1, 2, 3, 1, 5, 6}));
  for (auto how :
       {ScatterReduce::sum, ScatterReduce::prod, ScatterReduce::mean, ScatterReduce::amax, ScatterReduce::amin})
    for (bool self : {true, false})
      check_gradient([&](auto& in) { return scatter_reduce(in[0], 1, at, in[1], how, self); },
                     {numbers(6, 0.5, 2, 3), numbers(4, 0.5, 2, 4)}, {{2, 3}, {2, 2}});
  check_gradient([&](auto& in) { return scatter_reduce(in[0], 1, at, in[1], ScatterReduce::prod); },
                 {{1, 2, 3, 0, 5, 6}, {0, 20, 0, 3}}, {{2, 3}, {2, 2}});
}

TEST(Scan, RunningResults) {
  Tensor x = Tensor::from<double>({3, -1, 2, 2, 5, -4}, {2, 3});
  EXPECT_EQ(cumsum(x, 1).to_vector<double>(), (Doubles{3, 2, 4, 2, 7, 3}));
  EXPECT_EQ(cumprod(x, 0).to_vector<double>(), (Doubles{3, -1, 2, 6, -5, -8}));
  EXPECT_EQ(cumsum(cast(x, DType::u8), 1).dtype(), DType::i64);
  EXPECT_EQ(cummax(x, 1).values.to_vector<double>(), (Doubles{3, 3, 3, 2, 5, 5}));
  EXPECT_EQ(cummin(x, 1).indices.to_vector<int64_t>(), (I{0, 1, 1, 0, 0, 2}));
  expect_near(doubles(logcumsumexp(x, 1)),
              {3, std::log(std::exp(3) + std::exp(-1)), std::log(std::exp(3) + std::exp(-1) + std::exp(2)), 2,
               std::log(std::exp(2) + std::exp(5)), std::log(std::exp(2) + std::exp(5) + std::exp(-4))},
              1e-12, "logcumsumexp");
  for (int d : {0, 1}) {
    check_gradient([&](auto& in) { return cumsum(in[0], d); }, {numbers(12, -1, 1, 3)}, {{3, 4}});
    check_gradient([&](auto& in) { return cumprod(in[0], d); }, {numbers(12, -1, 1, 3)}, {{3, 4}});
    check_gradient([&](auto& in) { return logcumsumexp(in[0], d); }, {numbers(12, -1, 1, 3)}, {{3, 4}});
    check_gradient([&](auto& in) { return cummax(in[0], d).values; }, {numbers(12, -1, 1, 3)}, {{3, 4}});
  }
  check_gradient([&](auto& in) { return cumprod(in[0], 1); }, {{2, 0, 3, 4, 0, 5, 0, 2}}, {{2, 4}});
  EXPECT_TRUE(std::isnan(doubles(cummax(tensor({1, NAN, 3}, {3}, DType::f32), 0).values)[2]));
}

TEST(Order, SortsStablyWithNaNLast) {
  Tensor x = Tensor::from<float>({3, 1, NAN, 2, 1, -5}, {6});
  EXPECT_EQ(argsort(x).to_vector<int64_t>(), (I{5, 1, 4, 3, 0, 2}));
  EXPECT_EQ(argsort(x, 0, true).to_vector<int64_t>(), (I{2, 0, 3, 1, 4, 5}));
  Doubles many = numbers(5000, -1, 1, 3), want = many;
  for (double& v : many) v = std::round(v * 100);
  want = many;
  std::stable_sort(want.begin(), want.end());
  Ranked r = sort(tensor(many, {5000}, DType::f64));
  EXPECT_EQ(r.values.to_vector<double>(), want);
  auto at = r.indices.to_vector<int64_t>();
  for (size_t i = 1; i < at.size(); ++i) ASSERT_TRUE(want[i] > want[i - 1] || at[i] > at[i - 1]) << i;
  EXPECT_EQ(topk(x, 2).indices.to_vector<int64_t>(), (I{2, 0}));
  EXPECT_EQ(topk(x, 2, 0, false).values.to_vector<float>(), (F{-5, 1}));
  EXPECT_THROW(topk(x, 7), Error);
  check_gradient([](auto& in) { return sort(in[0], 0, true).values; }, {numbers(12, -1, 1, 3)}, {{4, 3}});
}

TEST(Order, MiddlesAndCounts) {
  Tensor x = Tensor::from<float>({3, 1, 2, 4}, {4});
  EXPECT_EQ(median(x, 0).values.item<float>(), 2);
  EXPECT_EQ(kthvalue(x, 3).values.item<float>(), 3);
  EXPECT_FLOAT_EQ(quantile(x, 0.5, 0).item<float>(), 2.5);
  EXPECT_EQ(quantile(x, 0.4, 0, false, Interpolation::higher).item<float>(), 3);
  EXPECT_TRUE(std::isnan(median(Tensor::from<float>({1, NAN, 0}, {3}), 0).values.item<float>()));
  EXPECT_EQ(nonzero(Tensor::from<float>({0, 1, 2, 0}, {2, 2})).to_vector<int64_t>(), (I{0, 1, 1, 0}));
  Unique u = unique(ints({5, 2, 5, 9}));
  EXPECT_EQ(u.values.to_vector<int64_t>(), (I{2, 5, 9}));
  EXPECT_EQ(u.inverse.to_vector<int64_t>(), (I{1, 0, 1, 2}));
  EXPECT_EQ(u.counts.to_vector<int64_t>(), (I{1, 2, 1}));
  EXPECT_EQ(u.first.to_vector<int64_t>(), (I{1, 0, 3}));
  EXPECT_EQ(unique(zeros({0})).values.numel(), 0);
  EXPECT_EQ(searchsorted(ints({1, 3, 3, 5}), ints({0, 3, 9})).to_vector<int64_t>(), (I{0, 1, 4}));
  EXPECT_EQ(searchsorted(ints({1, 3, 3, 5}), ints({0, 3, 9}), true).to_vector<int64_t>(), (I{0, 3, 4}));
  EXPECT_EQ(bincount(ints({1, 1, 3})).to_vector<int64_t>(), (I{0, 2, 0, 1}));
  EXPECT_EQ(histc(x, 3, 1, 4).to_vector<float>(), (F{1, 1, 2}));
}

}  // namespace
}  // namespace ds::test

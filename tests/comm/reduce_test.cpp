// The arithmetic alone, against the tree written out.
#include "engine/comm/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace ds::comm {
namespace {

// The contract in its plainest form.
template <class T, class Op>
T tree(std::vector<T> values, Op op) {
  while (values.size() > 1) {
    std::vector<T> next;
    for (size_t i = 0; i + 1 < values.size(); i += 2) next.push_back(op(values[i], values[i + 1]));
    if (values.size() % 2) next.push_back(values.back());
    values = next;
  }
  return values[0];
}

template <class T>
std::vector<std::vector<T>> inputs(int n, size_t count) {
  std::mt19937 random(n * 1000 + static_cast<int>(count));
  std::uniform_real_distribution<double> draw(-1000, 1000);
  std::vector<std::vector<T>> all(n, std::vector<T>(count));
  for (auto& v : all) {
    for (T& x : v) {
      if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>) {
        x = T(static_cast<float>(draw(random)));
      } else {
        x = static_cast<T>(static_cast<int64_t>(draw(random) * 1e6) % 251 * 0.37);
      }
    }
  }
  return all;
}

template <class T, class Wide>
void check_tree() {
  for (int n = 1; n <= 17; ++n) {
    for (size_t count : {size_t(1), size_t(7), size_t(64), size_t(5001)}) {
      const auto in = inputs<T>(n, count);
      auto buffers = in;
      std::vector<const void*> from;
      std::vector<void*> to;
      for (auto& b : buffers) {
        from.push_back(b.data());
        to.push_back(b.data());
      }
      std::vector<T> single(count);
      void* const one[] = {single.data()};
      reduce_tree(dtype_of<T>, ReduceOp::sum, one, from, count);
      reduce_tree(dtype_of<T>, ReduceOp::sum, to, from, count);
      for (size_t i = 0; i < count; ++i) {
        std::vector<Wide> terms;
        for (int r = 0; r < n; ++r) terms.push_back(static_cast<Wide>(in[r][i]));
        const T expected = static_cast<T>(tree(terms, [](Wide a, Wide b) { return static_cast<Wide>(a + b); }));
        ASSERT_EQ(std::memcmp(&single[i], &expected, sizeof(T)), 0) << n << " inputs, element " << i << " of " << count;
      }
      for (auto& b : buffers) ASSERT_EQ(std::memcmp(b.data(), single.data(), count * sizeof(T)), 0) << n << " in place";
    }
  }
}

TEST(ReduceTree, SumsInTheTreeOfAdjacentPairs) {
  check_tree<float, float>();
  check_tree<double, double>();
  check_tree<int64_t, int64_t>();
  check_tree<int32_t, int32_t>();
  check_tree<uint8_t, uint8_t>();
  check_tree<int8_t, int8_t>();
  check_tree<int16_t, int16_t>();
  check_tree<uint16_t, uint16_t>();
  check_tree<uint32_t, uint32_t>();
  check_tree<uint64_t, uint64_t>();
}

TEST(ReduceTree, SumsComplexNumbersAndRefusesTheirOrder) {
  const complex64 a(1, 2), b(3, -5);
  complex64 sum(0);
  const void* in[] = {&a, &b};
  void* to[] = {&sum};
  reduce_tree(DType::c64, ReduceOp::sum, to, in, 1);
  EXPECT_TRUE(sum == complex64(4, -3));
  EXPECT_THROW(reduce_tree(DType::c64, ReduceOp::max, to, in, 1), CommError);
}

TEST(ReduceTree, SumsBfloat16InFloatAndRoundsOnce) { check_tree<bfloat16, float>(); }
TEST(ReduceTree, SumsFloat16InFloatAndRoundsOnce) { check_tree<float16, float>(); }

TEST(ReduceTree, RoundsEveryBfloat16AsTheTypeDoes) {
  std::vector<bfloat16> a(65536), zero(65536), out(65536);
  for (size_t i = 0; i < a.size(); ++i) a[i].bits = static_cast<uint16_t>(i);
  const void* in[] = {a.data(), zero.data()};
  void* to[] = {out.data()};
  reduce_tree(DType::bf16, ReduceOp::sum, to, in, a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const bfloat16 expected(static_cast<float>(a[i]) + 0.0f);
    ASSERT_EQ(out[i].bits, expected.bits) << i;
  }
}

TEST(ReduceTree, MaxAndMinHandANanOnFromAnyRank) {
  for (int at = 0; at < 5; ++at) {
    std::vector<std::vector<float>> in(5, std::vector<float>(33));
    std::vector<const void*> from;
    for (int r = 0; r < 5; ++r) {
      for (float& x : in[r]) x = static_cast<float>(r == 2 ? -7 : r);
      from.push_back(in[r].data());
    }
    std::vector<float> out(33);
    void* to[] = {out.data()};
    reduce_tree(DType::f32, ReduceOp::max, to, from, 33);
    EXPECT_EQ(out[32], 4);
    reduce_tree(DType::f32, ReduceOp::min, to, from, 33);
    EXPECT_EQ(out[32], -7);
    in[at][5] = std::nanf("");
    for (ReduceOp op : {ReduceOp::max, ReduceOp::min}) {
      reduce_tree(DType::f32, op, to, from, 33);
      EXPECT_TRUE(std::isnan(out[5])) << at;
      EXPECT_FALSE(std::isnan(out[6])) << at;
    }
  }
}

TEST(ReduceTree, IntegersWrap) {
  const std::vector<int32_t> most(9, INT32_MAX), one(9, 1);
  std::vector<int32_t> out(9);
  const void* in[] = {most.data(), one.data()};
  void* to[] = {out.data()};
  reduce_tree(DType::i32, ReduceOp::sum, to, in, 9);
  EXPECT_EQ(out[8], INT32_MIN);
}

TEST(ReduceTree, RefusesBool) {
  bool x = true;
  const void* in[] = {&x};
  void* to[] = {&x};
  EXPECT_THROW(reduce_tree(DType::boolean, ReduceOp::sum, to, in, 1), CommError);
}

}  // namespace
}  // namespace ds::comm

#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

TEST(CudaUpdate, EveryWriteHasTheCpusBits) {
  for (DType type : kAllTypes)
    for (Write how : {Write::assign, Write::add, Write::mul, Write::max, Write::min})
      for (bool each : {false, true}) {
        if (is_complex(type) && (how == Write::max || how == Write::min)) continue;
        constexpr int64_t outer = 2, size = 5, count = 7, inner = 3;
        Array x = random_array(type, outer * size * inner, 1), v = random_array(type, outer * count * inner, 2);
        std::mt19937 rng(3);
        std::vector<int64_t> at(each ? outer * count * inner : count);
        for (int64_t& i : at) i = static_cast<int64_t>(rng() % (2 * size)) - size;
        Array index = int_array(at);
        expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
          std::vector<Array> out{x};
          t.index_update(ctx, how, type, out[0].data(), v.data(), ints(index), each, outer, size, count, inner);
          return out;
        });
      }
}

TEST(CudaScan, EveryScanAndSortHasTheCpusBits) {
  for (DType type : kAllTypes)
    for (auto [outer, n, inner] : {std::array<int64_t, 3>{2, 7, 3}, {1, 1, 1}, {1, 300, 1}, {3, 40, 2}}) {
      Array x = random_array(type, outer * n * inner, 1);
      auto total = static_cast<size_t>(outer * n * inner);
      for (Scan how : {Scan::sum, Scan::prod, Scan::max, Scan::min, Scan::logsumexp}) {
        bool floating = is_floating(type), ranks = how == Scan::max || how == Scan::min;
        if ((how == Scan::logsumexp && !floating) || (ranks && is_complex(type))) continue;
        expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
          std::vector<Array> out{Array(type, total), Array(DType::i64, total)};
          auto* at = static_cast<int64_t*>(out[1].data());
          t.scan(ctx, how, type, out[0].data(), ranks ? at : nullptr, x.data(), outer, n, inner);
          return out;
        });
      }
      for (bool descending : {false, true})
        if (!is_complex(type))
          expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
            std::vector<Array> out{Array(type, total), Array(DType::i64, total)};
            t.sort(ctx, type, descending, out[0].data(), static_cast<int64_t*>(out[1].data()), x.data(), outer, n,
                   inner);
            return out;
          });
    }
}

}  // namespace
}  // namespace ds::kernels

#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

TEST(Backends, NullDoesNothing) {
  TestContext ctx(1);
  Array a(DType::f32, {1, 2});
  null().fill(ctx, DType::f32, a.data(), 2, 5);
  null().matmul(ctx, Matmul{});
  null().random_bits(ctx, nullptr, 10, Philox{1, 2});
  EXPECT_EQ(a[0], 1);
  EXPECT_STREQ(null().name, "null");
}

TEST(Backends, EveryEntryIsFilled) {
  for (const Table* table : {&cpu(), &null(), &cuda()}) {
    const auto* entry = reinterpret_cast<void* const*>(table);
    for (size_t i = 0; i < sizeof(Table) / sizeof(void*); ++i) EXPECT_NE(entry[i], nullptr) << table->name << " " << i;
  }
}

}  // namespace
}  // namespace ds::kernels

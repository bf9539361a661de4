// What a user may get wrong, and the sentence for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/planner/models.h"

namespace ds::plan {
namespace {

using ::testing::HasSubstr;

std::string error_of(const absl::StatusOr<Answer>& answer) {
  return answer.ok() ? "no error" : std::string(answer.status().message());
}

TEST(Input, NamesTheFieldAndItsValue) {
  const Cluster c = of("selene", 8);
  Transformer m = gpt_22b(8);
  m.heads = 0;
  EXPECT_EQ(error_of(search(c, m, {})), "[plan] heads must be >= 1, got 0");
  m = gpt_22b(8);
  m.kv_heads = 7;
  EXPECT_EQ(error_of(search(c, m, {})), "[plan] kv_heads 7 does not divide heads 64");
  m = gpt_22b(8);
  m.hidden = 6145;
  EXPECT_EQ(error_of(search(c, m, {})), "[plan] heads 64 does not divide hidden 6145");
}

TEST(Input, SevenDevicesHaveNoTensorParallelEight) {
  Wish wish;
  wish.tensor = 8;
  EXPECT_EQ(error_of(search(of("selene", 7), gpt_22b(8), wish)), "[plan] tensor_parallel 8 does not divide 7 devices");
  EXPECT_THAT(error_of(evaluate(of("selene", 7), gpt_22b(8), layout(8, 1, 1, 1, Recompute::kNone, false))),
              HasSubstr("= 8 devices, the cluster has 7"));
}

TEST(Input, ALayoutMustDivide) {
  const Cluster c = of("selene", 8);
  EXPECT_EQ(error_of(evaluate(c, gpt_22b(9), layout(1, 1, 8, 1, Recompute::kNone, false))),
            "[plan] data_parallel 8 does not divide batch 9");
  Layout l = layout(8, 1, 1, 1, Recompute::kNone, false);
  l.zero = 4;
  EXPECT_EQ(error_of(evaluate(c, gpt_22b(8), l)), "[plan] zero must be 0 to 3, got 4");
}

TEST(Input, AClusterSaysWhatIsWrongWithIt) {
  Cluster c = of("selene", 8);
  c.groups[0].device.memory = -1;
  EXPECT_EQ(error_of(search(c, gpt_22b(8), {})), "[cluster] selene: memory must be > 0, got -1");
  EXPECT_THAT(std::string(preset("selen").status().message()), HasSubstr("no cluster \"selen\"; there are selene,"));
  EXPECT_FALSE(with_devices(of("selene", 8), 16, false).ok());
}

// The owner's first idea for a trillion parameters: it misses, by how much, and what would do.
TEST(Refusal, NamesTheStageTheBytesAndTheNearestLayout) {
  Layout l = layout(8, 4, 16, 1, Recompute::kFull, false);
  l.zero = 1;
  const absl::StatusOr<Answer> answer = evaluate(of("selene", 512), gpt_1t(2048), l);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto* no = std::get_if<Infeasible>(&*answer);
  ASSERT_NE(no, nullptr);
  EXPECT_EQ(no->stage, 0);
  EXPECT_GT(no->needed_bytes, 200e9);
  EXPECT_LT(no->available_bytes, 86e9);
  EXPECT_THAT(no->reason, HasSubstr("stage 0 needs"));
  ASSERT_TRUE(no->nearest.has_value());
  EXPECT_TRUE(
      std::holds_alternative<Plan>(*evaluate(of("selene", no->nearest->devices()), gpt_1t(2048), *no->nearest)));
}

TEST(Refusal, SaysHowManyDevicesWouldDo) {
  const absl::StatusOr<Answer> answer = search(of("selene", 8), gpt_175b(64), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto* no = std::get_if<Infeasible>(&*answer);
  ASSERT_NE(no, nullptr);
  EXPECT_THAT(no->reason, HasSubstr("nothing fits 8 devices"));
  ASSERT_TRUE(no->nearest.has_value());
  EXPECT_GT(no->nearest->devices(), 8);
}

}  // namespace
}  // namespace ds::plan

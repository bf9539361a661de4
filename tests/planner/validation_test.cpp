// The goals of docs/validation.md, row by row of the published tables.
#include "client/planning/validate.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <numeric>

#include "client/planning/csv.h"

namespace ds::client {
namespace {

// The tables beside the checkout, as `dsctl sim validate` looks for them.
std::string folder() { return std::string(DS_SOURCE_DIR) + "/../shared/data"; }

std::map<std::string, DataSet> sets(std::vector<std::string>* missing) {
  std::map<std::string, DataSet> all;
  for (DataSet& set : data_sets(folder(), missing)) all.emplace(set.name, std::move(set));
  return all;
}

struct Goal {
  const char* name;
  int rows;
  double mean, max;
};

TEST(Validation, MeetsItsGoalsOnThePublishedTables) {
  std::vector<std::string> missing;
  const auto all = sets(&missing);
  for (const Goal& goal : {Goal{"korthikanti-table5", 9, 0.035, 0.08}, Goal{"korthikanti-activations", 8, 0.02, 0.02},
                           Goal{"megatron-core-weak", 9, 0.08, 1}, Goal{"megatron-core-strong", 8, 0.08, 1},
                           Goal{"megascale-megatron-lm", 8, 0.10, 1}}) {
    SCOPED_TRACE(goal.name);
    const Score s = score(all.at(goal.name).points);
    EXPECT_EQ(s.n, goal.rows);
    EXPECT_LE(s.mean, goal.mean);
    EXPECT_LE(s.max, goal.max);
    EXPECT_EQ(s.refused, 0) << "what ran must not be refused";
  }
}

TEST(Validation, MeetsItsGoalsOnVTrain) {
  std::vector<std::string> missing;
  const auto all = sets(&missing);
  if (!missing.empty()) GTEST_SKIP() << folder() << " has no " << missing[0];
  const Score multi = score(all.at("vtrain-multi-node").points), single = score(all.at("vtrain-single-node").points);
  EXPECT_LE(multi.mean, 0.09);
  EXPECT_GE(multi.rank, 0.95);
  EXPECT_GE(single.n, 1200);
  EXPECT_LE(single.mean, 0.10);
  EXPECT_EQ(multi.refused + single.refused, 0);
  for (const auto& [name, most] : {std::pair{"vtrain-multi-node", 0.02}, {"vtrain-single-node", 0.08}}) {
    const std::vector<double>& regrets = all.at(name).regrets;
    EXPECT_LE(std::accumulate(regrets.begin(), regrets.end(), 0.0) / static_cast<double>(regrets.size()), most) << name;
  }
}

TEST(Validation, ReportsTheRest) {
  std::vector<std::string> missing;
  const auto all = sets(&missing);
  EXPECT_EQ(all.at("nanotron").points.size(), 26U);
  EXPECT_EQ(all.at("mpt-fsdp-h100").points.size() + all.at("mpt-fsdp-a100").points.size(), 74U);
  EXPECT_EQ(all.at("mpt-fsdp-a100").points.size() - static_cast<size_t>(score(all.at("mpt-fsdp-a100").points).refused),
            23U);
  const ErrorBar bar = error_bar();
  EXPECT_GT(bar.rows, 100);
  EXPECT_LT(bar.mean, 0.12);
}

// `dsctl sim validate --update docs/validation.md` after every change of the model.
TEST(Validation, ThePageIsUpToDate) {
  std::vector<std::string> missing;
  const Json rows = validation_document(data_sets(folder(), &missing));
  if (!missing.empty()) GTEST_SKIP() << folder() << " has no " << missing[0];
  std::ifstream file(std::string(DS_SOURCE_DIR) + "/docs/validation.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  const auto text = renewed(page, validation_markdown(rows));
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, page);
}

TEST(Score, OfKnownPoints) {
  const Score s = score({{"a", 1.1, 1, true}, {"b", 1.8, 2, true}, {"c", 3, 3, false}});
  EXPECT_NEAR(s.mean, 0.2 / 3, 1e-12);
  EXPECT_NEAR(s.max, 0.1, 1e-12);
  EXPECT_NEAR(s.bias, 0, 1e-12);
  EXPECT_DOUBLE_EQ(s.rank, 1);
  EXPECT_EQ(s.refused, 1);
  EXPECT_DOUBLE_EQ(score({{"a", 2, 1, true}, {"b", 1, 2, true}}).rank, -1);
}

TEST(Csv, QuotesAndShortLines) {
  auto table = Table::parse("a,b\n\"x,y\",2\r\n", "t.csv");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->text(0, "a"), "x,y");
  EXPECT_EQ(table->number(0, "b"), 2);
  EXPECT_EQ(Table::parse("a,b\n1\n", "t.csv").status().message(), "t.csv: line 2 has 1 columns, the header 2");
}

}  // namespace
}  // namespace ds::client

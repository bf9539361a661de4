// dsctl sim pipeline: it asks no coordinator.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/client/run_dsctl.h"

namespace ds::client {
namespace {

constexpr char dsctl[] = DSCTL " --coordinator 127.0.0.1:1 sim pipeline ";
constexpr char setting[] = "--stages 8 --micro-batches 24 --f 18.522 --b 18.086 --w 9.337 --comm 0.601 ";

Outcome run(const std::string& options) { return run_shell("LC_ALL=C", dsctl + options); }

TEST(SimPipeline, SaysBubbleAndMemoryAsJson) {
  Outcome outcome = run(std::string("--schedule zb-h1 -o json ") + setting);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto seen = nlohmann::json::parse(outcome.out);
  EXPECT_NEAR(seen["bubble"].get<double>(), 0.1585, 0.0001);  // arXiv 2401.10241 table 5
  EXPECT_EQ(seen["peak_activation"], 8);
  EXPECT_EQ(seen["per_stage"].size(), 8u);
  EXPECT_TRUE(seen["simulated"].get<bool>());
}

TEST(SimPipeline, DrawsATimelineOf120ColumnsAndAnSvg) {
  TemporaryFolder folder;
  Outcome outcome = run("--schedule zb-v --svg " + folder.path() + "/v.svg " + setting);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  int stages = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 120u) << line;
    stages += line.size() == 120 && isdigit(line[0]);
  }
  EXPECT_EQ(stages, 8);
  const std::string svg = read_text(folder.path() + "/v.svg");
  EXPECT_EQ(svg.substr(0, 4), "<svg");
  EXPECT_NE(svg.find("stage 7"), std::string::npos);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
}

TEST(SimPipeline, RefusesWhatNoScheduleIsByName) {
  Outcome unknown = run("--schedule zb-h3 --stages 8 --micro-batches 24");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean zb-h1?"), std::string::npos) << unknown.err;
  Outcome none = run("--schedule 1f1b --stages 0 --micro-batches 24");
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("[1f1b] stages must be at least 1: got 0"), std::string::npos) << none.err;
  Outcome negative = run("--schedule 1f1b --stages 2 --micro-batches 4 --f -1");
  EXPECT_EQ(negative.code, 2);
  EXPECT_NE(negative.err.find("times must be 0 or more: got -1"), std::string::npos) << negative.err;
}

}  // namespace
}  // namespace ds::client

// One row model, every format; and the progress a user looks at.
#include "client/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <regex>

#include "client/progress.h"

namespace ds::client {
namespace {

using ::testing::HasSubstr;

TEST(View, TableIsAligned) {
  const View view{Json::parse(R"([{"a": "x", "b": 1}, {"a": "größe", "b": null}])"),
                  {{"A", text_at("/a")}, {"B", text_at("/b")}}};
  EXPECT_EQ(render(view, Format::kTable), "A      B\nx      1\ngröße  -\n");
}

TEST(View, YamlReadsBackToTheSame) {
  const Json document = Json::parse(R"({"empty": {}, "none": [], "list": [1, {"a": "b", "c": [true]}, [2, 3]],
      "texts": ["5", "true", "no", "inf", "NaN", "0x10", ".inf", "a: b", "- x", "", "two\nlines", "é", "#", "1e3", "~", "null", "j-1", "/a/b"],
      "number": 0.1, "nothing": null})");
  const YAML::Node node = YAML::Load(to_yaml(document));
  EXPECT_EQ(node["list"][1]["c"][0].as<bool>(), true);
  EXPECT_EQ(node["list"][2][1].as<int>(), 3);
  EXPECT_EQ(node["number"].as<double>(), 0.1);
  EXPECT_TRUE(node["nothing"].IsNull());
  for (size_t i = 0; i < document["texts"].size(); ++i) {
    EXPECT_EQ(node["texts"][i].as<std::string>(), document["texts"][i].get<std::string>());
    if (i < 7) {
      EXPECT_EQ(node["texts"][i].Tag(), "!") << "in quotes, so that no reader takes it for a number";
    }
  }
}

// YAML 1.1 knows a float by a point, and by a sign in its exponent; without them PyYAML makes it a text.
TEST(View, YamlFloatsAreFloatsToEveryReader) {
  const std::regex yaml11("[-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+][0-9]+)?");
  for (const double value :
       {1e-8, -1e-8, 1e22, 1.5e-300, 0.001, 2.5e-308, 1.7976931348623157e308, 1e100, 0.1, 2.0, -0.0, 1e15, 1e16}) {
    std::string text = to_yaml(Json(value));
    text.pop_back();
    EXPECT_TRUE(std::regex_match(text, yaml11)) << text;
    EXPECT_EQ(std::stod(text), value) << text;
  }
  EXPECT_EQ(to_yaml({{"eps", 1e-8}}), "eps: 1.0e-08\n");
}

TEST(View, Cells) {
  const Json row = {{"x", 12345.678}, {"small", 0.000123456}};
  EXPECT_EQ(number_at("/x", 4)(row), "12346");
  EXPECT_EQ(number_at("/small", 3)(row), "0.000123");
  EXPECT_EQ(number_at("/none", 3)(row), "-");
  EXPECT_EQ(duration_text(59.6), "1m0s");
  EXPECT_EQ(duration_text(3700), "1h1m");
  EXPECT_EQ(duration_text(-1), "?");
}

v1::Job halfway() {
  v1::Job job;
  job.set_id("j-1");
  job.set_state(v1::RUNNING);
  job.mutable_spec()->mutable_train()->set_batch_size(100);
  job.mutable_progress()->set_step(50);
  job.mutable_progress()->set_total_steps(100);
  job.mutable_metrics()->set_loss(0.25);
  job.mutable_metrics()->set_samples_per_second(1000);
  job.mutable_metrics()->set_train_seconds(5);
  return job;
}

TEST(Progress, BarFitsTheTerminal) {
  const std::string bar = progress_bar(halfway(), 100);
  EXPECT_EQ(bar, "[====================>                   ]  50%  step 50/100  loss 0.2500  1000 samples/s  ETA 5s");
  for (int columns = 1; columns < 120; ++columns)
    EXPECT_LE(static_cast<int>(progress_bar(halfway(), columns).size()), columns);
}

TEST(Progress, LineSaysTheSame) {
  EXPECT_EQ(progress_line(halfway()), "j-1 RUNNING step 50/100 epoch 0 loss 0.2500 1000 samples/s ETA 5s");
  v1::Job starting;
  starting.set_id("j-2");
  starting.set_state(v1::STARTING);
  v1::RankStatus& rank = *starting.add_ranks();
  rank.set_worker("w1");
  rank.set_state(v1::RANK_ASSIGNED);
  rank.set_detail("fetching sha256:012345678901, 45% of 100 bytes");
  EXPECT_EQ(progress_line(starting),
            "j-2 STARTING step 0 epoch 0 rank 0 on w1: fetching sha256:012345678901, 45% of 100 bytes");
  EXPECT_EQ(progress_line(v1::Job()), " JOB_STATE_UNSPECIFIED step 0 epoch 0");
}

}  // namespace
}  // namespace ds::client

// The training loop on real ranks (threads over the inproc transport): the layout must not change the curve.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/engine/train_run.h"

namespace ds::train {
namespace {

class Train : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("ds-train-" + std::to_string(::getpid()));
    std::filesystem::remove_all(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  TrainConfig config(const std::string& job) const {
    TrainConfig c;
    c.job = job;
    c.job_dir = dir_ / job;
    c.generation = 1;
    c.model.family = GetParam();
    c.model.hidden = {32, 16};
    c.model.channels = {4};
    c.data.dataset = "fashion_mnist";
    c.data.limit = 2000;
    c.optimizer = {"adamw", 0.001, 0, 0.01, 0.9, 0.999, 1e-8};
    c.checkpoint = {10, 2};
    c.batch_size = 64;
    c.epochs = 1;
    c.seed = 7;
    c.max_steps = 24;
    c.virtual_shards = 4;
    return c;
  }
  std::filesystem::path dir_;
};

TEST_P(Train, DeterministicCurvesAreBitEqualForEveryNumberOfRanks) {
  TrainConfig c = config("d");
  c.deterministic = true;
  std::vector<double> one;
  for (int ranks : {1, 2, 4}) {
    c.job_dir = dir_ / std::to_string(ranks);
    Outcome o = run(c, ranks);
    if (ranks == 1) one = o.losses();
    EXPECT_EQ(o.losses(), one) << ranks << " ranks";
    EXPECT_EQ(o.losses().size(), 24u);
    EXPECT_EQ(o.records.back().kind, StepRecord::Kind::eval);
  }
  EXPECT_LT(one.back(), one.front());
}

TEST_P(Train, OtherwiseTheyAgreeWithinRounding) {
  TrainConfig c = config("n");
  c.max_steps = 20;
  c.job_dir = dir_ / "one";
  std::vector<double> one = run(c, 1).losses();
  c.job_dir = dir_ / "two";
  std::vector<double> two = run(c, 2).losses();
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(two[i], one[i], 1e-6 * one[i]) << "step " << i + 1;
}

TEST_P(Train, ZeroChangesNoBitOfTheCurve) {
  TrainConfig c = config("z");
  c.job_dir = dir_ / "sharded";
  std::vector<double> sharded = run(c, 2).losses();
  c.zero = 0;
  c.job_dir = dir_ / "replicated";
  EXPECT_EQ(run(c, 2).losses(), sharded);
}

// A checkpoint of shards is one of the whole model: any number of ranks goes on from it.
TEST_P(Train, AnyNumberOfRanksResumes) {
  TrainConfig c = config("r");
  c.deterministic = true;
  c.job_dir = dir_ / "one";
  std::vector<double> unbroken = run(c, 1).losses(), pieces;
  c.job_dir = dir_ / "pieces";
  for (auto [ranks, zero, stop] : {std::tuple{4, 1, 6}, {1, 1, 12}, {2, 1, 18}, {2, 0, -1}}) {
    ++c.generation;
    c.zero = zero;
    Outcome o = run(c, ranks, stop);
    EXPECT_EQ(o.start, static_cast<int64_t>(pieces.size()));
    for (double l : o.losses()) pieces.push_back(l);
  }
  EXPECT_EQ(pieces, unbroken);
}

TEST_P(Train, AResumedRunIsTheUnbrokenOne) {
  TrainConfig c = config("u");
  std::vector<double> unbroken = run(c, 2).losses();
  c.job_dir = dir_ / "resumed";
  Outcome first = run(c, 2, 13);
  EXPECT_EQ(first.end, TrainEnd::stopped);
  size_t done = first.losses().size();
  EXPECT_GE(done, 13u);
  EXPECT_LE(done, 15u);
  ++c.generation;
  Outcome second = run(c, 2);
  EXPECT_EQ(second.start, static_cast<int64_t>(done));
  std::vector<double> whole = first.losses();
  for (double l : second.losses()) whole.push_back(l);
  EXPECT_EQ(whole, unbroken);
}

// Steps count batches: under another seed, batch or data set the same step is another sample.
TEST_P(Train, AResumeOverOtherSamplesIsRefused) {
  TrainConfig c = config("o");
  c.max_steps = 4;
  run(c, 1);
  c.max_steps = 8;
  for (int what : {0, 1, 2}) {
    TrainConfig other = c;
    ++other.generation;
    if (what == 0) other.seed = 8;
    if (what == 1) other.batch_size = 32;
    if (what == 2) other.data.limit = 1900;
    EXPECT_THROW(run(other, 1), UserError) << what;
  }
  c.generation += 2;
  EXPECT_EQ(run(c, 2).start, 4) << "another number of ranks is no other sample";
}

TEST_P(Train, ADamagedCheckpointIsNamedAndTheOneBeforeItUsed) {
  TrainConfig c = config("broken");
  std::vector<double> unbroken = run(c, 1).losses();
  std::filesystem::path newest = dir_ / "broken/checkpoints/step-00000024";
  std::filesystem::resize_file(newest / "manifest.json", 20);
  ++c.generation;
  Outcome again = run(c, 1);
  EXPECT_EQ(again.start, 20);
  ASSERT_EQ(again.warnings.size(), 1u);
  EXPECT_NE(again.warnings[0].find("step-00000024"), std::string::npos) << again.warnings[0];
  EXPECT_EQ(again.losses(), std::vector<double>(unbroken.begin() + 20, unbroken.end()));
}

// An update that breaks the model is seen at the evaluation, and no checkpoint of it is left behind.
TEST_P(Train, ALastStepThatBreaksTheModelFails) {
  TrainConfig c = config("nan");
  c.optimizer.lr = 1e38;
  c.max_steps = 1;
  EXPECT_THROW(run(c, 1), Diverged);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "nan/checkpoints/step-00000001"));
}

TEST_P(Train, ImpossibleSettingsAreTheUsersToMend) {
  TrainConfig c = config("e");
  c.data.dataset = "fashion-mnist";
  EXPECT_THROW(run(c, 1), UserError);
  c = config("e");
  c.batch_size = 4000;
  EXPECT_THROW(run(c, 1), UserError);
  c = config("e");
  c.deterministic = true;
  c.virtual_shards = 3;
  EXPECT_THROW(run(c, 2), UserError);
}

INSTANTIATE_TEST_SUITE_P(Families, Train, testing::Values("mlp", "cnn"), [](auto& i) { return std::string(i.param); });

}  // namespace
}  // namespace ds::train

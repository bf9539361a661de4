#include "engine/io/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <future>

#include "engine/io/checkpoint_layout.h"
#include "tests/io/checkpoint_sets.h"
#include "tests/io/folder.h"

namespace ds::io {
namespace {

using ::ds::testing::expect_set;
using ::ds::testing::Folder;
using ::ds::testing::message_of;
using ::ds::testing::state_of;
using ::ds::testing::Tensors;
using ::testing::HasSubstr;

WriterOptions options_in(const Folder& folder, int rank = 0, int world = 1) {
  WriterOptions options;
  options.dir = folder.path();
  options.rank = rank;
  options.world = world;
  return options;
}

TEST(CheckpointWriter, WritesWhatTheTensorsWereAtSave) {
  const Folder folder;
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  WriterOptions options = options_in(folder);
  options.sharded = true;  // a shard of a world of one, so that `collect` can hold the thread
  options.collect = [&](int64_t, const std::string& report) {
    opened.wait();
    return std::vector<std::string>{report};
  };
  std::vector<SaveResult> results;
  options.done = [&](const SaveResult& result) { results.push_back(result); };
  CheckpointWriter writer(options);
  EXPECT_EQ(writer.wait().step, -1);
  Tensors tensors(3, 0);
  writer.save(state_of(3), tensors.views());
  EXPECT_TRUE(writer.busy());
  EXPECT_FALSE(latest(folder.path()).checkpoint.has_value());
  std::fill(tensors.weights().begin(), tensors.weights().end(), -1.0f);  // the step goes on
  gate.set_value();
  const SaveResult result = writer.wait();
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.step, 3);
  EXPECT_EQ(result.folder, folder / "step-00000003");
  EXPECT_GT(result.bytes, 4000u);
  EXPECT_FALSE(writer.busy());
  ASSERT_EQ(results.size(), 1u);
  expect_set(*latest(folder.path()).checkpoint, 1);
}

TEST(CheckpointWriter, SavesOneAfterAnotherAndFinishesWhenDestroyed) {
  const Folder folder;
  std::vector<int64_t> steps;
  WriterOptions options = options_in(folder);
  options.keep = 2;
  options.done = [&](const SaveResult& result) { steps.push_back(result.error.empty() ? result.step : -1); };
  {
    CheckpointWriter writer(options);
    for (int64_t step = 1; step <= 6; ++step) {
      const Tensors tensors(step, 0, static_cast<size_t>(100 * step));  // and grows
      writer.save(state_of(step), tensors.views());
    }
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
  expect_set(*latest(folder.path()).checkpoint, 1, 600);
  EXPECT_TRUE(std::filesystem::exists(folder / "step-00000005"));
  EXPECT_FALSE(std::filesystem::exists(folder / "step-00000004"));
}

TEST(CheckpointWriter, OtherRanksDoNothingWhenRankZeroHasItAll) {
  const Folder folder;
  CheckpointWriter writer(options_in(folder, 1, 2));
  writer.save(state_of(1), Tensors(1, 1).views());
  EXPECT_EQ(writer.wait().step, -1);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CheckpointWriter, EveryRankWritesItsShardAndRankZeroCommits) {
  constexpr int kWorld = 4;
  const Folder folder;
  std::vector<std::unique_ptr<CheckpointWriter>> writers;
  for (int rank = 0; rank < kWorld; ++rank) {
    WriterOptions options = options_in(folder, rank, kWorld);
    options.sharded = true;
    writers.push_back(std::make_unique<CheckpointWriter>(options));
  }
  for (int64_t step : {7, 8, 9}) {
    for (int rank : {2, 0, 3, 1}) writers[static_cast<size_t>(rank)]->save(state_of(step), Tensors(step, rank).views());
  }
  for (auto& writer : writers) EXPECT_EQ(writer->wait().error, "");
  const Latest found = latest(folder.path());
  EXPECT_EQ(found.checkpoint->state().step, 9);
  expect_set(*found.checkpoint, kWorld);
}

TEST(CheckpointWriter, GivesUpWhenAShardNeverComes) {
  const Folder folder;
  WriterOptions options = options_in(folder, 0, 2);
  options.sharded = true;
  options.collect_timeout_seconds = 0.02;
  CheckpointWriter writer(options);
  writer.save(state_of(7), Tensors(7, 0).views());
  EXPECT_THAT(writer.wait().error, HasSubstr("no shard report from rank 1"));
  EXPECT_FALSE(latest(folder.path()).checkpoint.has_value());
}

TEST(CheckpointWriter, ReportsErrorsAndGoesOn) {
  const Folder folder;
  CheckpointWriter writer(options_in(folder));
  const std::string in_the_way = temporary_folder(folder.path(), 1, 0);
  ::ds::testing::spill(in_the_way, "a file where the folder should be");
  writer.save(state_of(1), Tensors(1, 0).views());
  EXPECT_THAT(writer.wait().error, HasSubstr(in_the_way));
  writer.save(state_of(2), Tensors(2, 0).views());
  EXPECT_EQ(writer.wait().error, "");
  EXPECT_EQ(latest(folder.path()).checkpoint->state().step, 2);
}

TEST(CheckpointWriter, IsToldThatItIsStale) {
  const Folder folder;
  CheckpointWriter old_one(options_in(folder));
  old_one.save(state_of(1), Tensors(1, 0).views());
  old_one.wait();
  WriterOptions options = options_in(folder);
  options.generation = 1;
  CheckpointWriter new_one(options);
  old_one.save(state_of(2), Tensors(2, 0).views());
  const SaveResult result = old_one.wait();
  EXPECT_TRUE(result.stale);
  EXPECT_THAT(result.error, HasSubstr("generation 0 lost"));
  EXPECT_THROW(CheckpointWriter{options_in(folder)}, StaleGeneration);
  EXPECT_EQ(latest(folder.path()).checkpoint->state().step, 1);
}

TEST(CheckpointWriter, RunsAtALowPriorityAndLeavesTheCallersAlone) {
  const Folder folder;
  const auto priority = [] { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); };
  const int before = priority();
  std::atomic<int> behind{-100};
  WriterOptions options = options_in(folder);
  options.done = [&](const SaveResult&) { behind = priority(); };
  CheckpointWriter writer(options);
  writer.save(state_of(1), Tensors(1, 0).views());
  writer.wait();
  EXPECT_EQ(priority(), before);
  EXPECT_GT(behind, before);
}

TEST(CheckpointWriter, RefusesImpossibleOptions) {
  const Folder folder;
  EXPECT_THAT(message_of<IoError>([&] { CheckpointWriter{options_in(folder, 2, 2)}; }), HasSubstr("rank 2 of 2"));
  EXPECT_THAT(message_of<IoError>([&] { CheckpointWriter{WriterOptions{}}; }), HasSubstr("dir \"\""));
}

}  // namespace
}  // namespace ds::io

#include "engine/io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/io/checkpoint_layout.h"
#include "tests/io/checkpoint_sets.h"
#include "tests/io/folder.h"

namespace ds::io {
namespace {

using ::ds::testing::expect_set;
using ::ds::testing::Folder;
using ::ds::testing::make_set;
using ::ds::testing::message_of;
using ::ds::testing::state_of;
using ::ds::testing::Tensors;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoint, RoundTripsShardsAndState) {
  const Folder folder;
  const std::string dir = folder / "job/checkpoints";
  EXPECT_FALSE(latest(dir).checkpoint.has_value());  // a missing folder is an empty one
  EXPECT_EQ(make_set(dir, 200), dir + "/step-00000200");
  EXPECT_THAT(names_in(dir), ElementsAre("step-00000200"));
  EXPECT_THAT(names_in(dir + "/step-00000200"),
              ElementsAre("manifest.json", "rank-0-of-2.safetensors", "rank-1-of-2.safetensors"));
  const Latest found = latest(dir);
  ASSERT_TRUE(found.checkpoint.has_value());
  EXPECT_TRUE(found.refused.empty());
  expect_set(*found.checkpoint);
  EXPECT_THAT(message_of<IoError>([&] { found.checkpoint->tensor("absent"); }), HasSubstr("no tensor \"absent\""));
}

TEST(Checkpoint, LatestIsByStepAndNotByName) {
  const Folder folder;
  make_set(folder.path(), 99999999);
  make_set(folder.path(), 100000000);  // a digit more
  make_set(folder.path(), 5);
  std::filesystem::create_directory(folder / "step-7");  // not a name that is written here
  std::filesystem::create_directory(folder / "step-0000000x");
  const Latest found = latest(folder.path());
  EXPECT_EQ(found.checkpoint->state().step, 100000000);
  EXPECT_TRUE(found.refused.empty());
}

TEST(Checkpoint, ASetStaysReadableAfterItIsRemoved) {
  const Folder folder;
  make_set(folder.path(), 1);
  const Latest found = latest(folder.path());
  std::filesystem::remove_all(folder / "step-00000001");
  expect_set(*found.checkpoint);
}

TEST(Checkpoint, KeepsTheNewestN) {
  const Folder folder;
  for (int64_t step : {100, 200, 300, 400}) make_set(folder.path(), step, 0, /*keep=*/2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000300", "step-00000400"));
  make_set(folder.path(), 500, 0, /*keep=*/0);  // at least the new one
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000500"));
}

TEST(Checkpoint, ABrokenSetDoesNotCountAsKept) {
  const Folder folder;
  for (int64_t step : {100, 200, 300}) make_set(folder.path(), step);
  std::filesystem::resize_file(folder / "step-00000300/rank-1-of-2.safetensors", 100);
  // The run went on from 200 and comes to 250: 300 is of the lost timeline and must not push 200 or 250 out.
  make_set(folder.path(), 250, 0, /*keep=*/2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000200", "step-00000250", "step-00000300"));
  make_set(folder.path(), 350, 0, /*keep=*/2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000250", "step-00000300", "step-00000350"));
}

TEST(Checkpoint, NewerSetsAreNotItsToRemove) {
  const Folder folder;
  for (int64_t step : {100, 200, 300}) make_set(folder.path(), step);
  make_set(folder.path(), 150, 0, /*keep=*/1);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000150", "step-00000200", "step-00000300"));
}

TEST(Checkpoint, TheSameStartKeepsAWholeSetAndReplacesABrokenOne) {
  const Folder folder;
  make_set(folder.path(), 100);
  const auto before = std::filesystem::last_write_time(folder / "step-00000100/manifest.json");
  make_set(folder.path(), 100);
  EXPECT_EQ(std::filesystem::last_write_time(folder / "step-00000100/manifest.json"), before);
  std::filesystem::resize_file(folder / "step-00000100/manifest.json", 10);
  make_set(folder.path(), 100);
  expect_set(*latest(folder.path()).checkpoint);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000100"));
}

TEST(Generations, ANewerOneReplacesAndAnOlderOneIsStale) {
  const Folder folder;
  const std::string dir = folder.path();
  claim(dir, 1);
  make_set(dir, 100, 1);
  const Tensors tensors(200, 0);
  const ShardReport report = write_shard(dir, 200, 1, 0, 1, tensors.views());
  claim(dir, 2);  // while 1 is between its shard and its commit
  EXPECT_THAT(message_of<IoError>([&] { commit(dir, 1, state_of(200), {&report, 1}, 2); }), HasSubstr("rank-0-of-1"));
  EXPECT_THAT(message_of<StaleGeneration>([&] { write_shard(dir, 200, 1, 0, 1, tensors.views()); }),
              AllOf(HasSubstr("generation 1 lost"), HasSubstr("to generation 2")));
  EXPECT_THAT(message_of<StaleGeneration>([&] { claim(dir, 1); }), HasSubstr("generation 1 lost"));
  make_set(dir, 100, 2);
  EXPECT_EQ(latest(dir).checkpoint->generation(), 2);
  claim(dir, 2);  // again, by the same start
  EXPECT_THAT(names_in(dir), ElementsAre("generation-2", "step-00000100"));
}

TEST(Generations, ACommitIsStaleEvenWhenItsShardsAreThere) {
  const Folder folder;
  const Tensors tensors(200, 0);
  claim(folder.path(), 1);
  const ShardReport report = write_shard(folder.path(), 200, 1, 0, 1, tensors.views());
  ::ds::testing::spill(folder / "generation-5", "");
  EXPECT_NE(message_of<StaleGeneration>([&] { commit(folder.path(), 1, state_of(200), {&report, 1}, 2); }), "");
  EXPECT_FALSE(latest(folder.path()).checkpoint.has_value());
}

TEST(Generations, ClaimingRemovesWhatCrashesLeftButNothingNewer) {
  const Folder folder;
  const Tensors tensors(5, 0);
  for (int64_t generation : {1, 2, 3}) write_shard(folder.path(), 5, generation, 0, 2, tensors.views());
  std::filesystem::create_directory(folder / ".trash-step-00000004-gen-1");
  make_set(folder.path(), 4, 1);
  claim(folder.path(), 2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre(".tmp-step-00000005-gen-3", "generation-2", "step-00000004"));
}

TEST(Commit, RefusesShardsThatAreNotThere) {
  const Folder folder;
  const Tensors tensors(5, 0);
  ShardReport report = write_shard(folder.path(), 5, 0, 0, 1, tensors.views());
  report.summary.size += 1;
  EXPECT_THAT(message_of<IoError>([&] {
                commit(folder.path(), 0, state_of(5), {&report, 1}, 1);
              }),
              HasSubstr("the manifest says"));
  report.file = "rank-1-of-2.safetensors";
  EXPECT_THAT(message_of<IoError>([&] {
                commit(folder.path(), 0, state_of(5), {&report, 1}, 1);
              }),
              HasSubstr("rank-1-of-2.safetensors"));
  EXPECT_FALSE(latest(folder.path()).checkpoint.has_value());
}

TEST(ShardReport, IsASmallString) {
  const ShardReport report{"rank-3-of-4.safetensors", {123456789012, 0xdeadbeef}};
  const ShardReport back = ShardReport::decode(report.encode());
  EXPECT_EQ(back.file, report.file);
  EXPECT_EQ(back.summary.size, report.summary.size);
  EXPECT_EQ(back.summary.crc32c, report.summary.crc32c);
  EXPECT_LT(report.encode().size(), 100u);
  for (const char* bad : {"", "{}", "[]", R"({"file": "../x", "size": 1, "crc32c": "00000000"})",
                          R"({"file": "x", "size": 1, "crc32c": "0"})"}) {
    EXPECT_THROW(ShardReport::decode(bad), IoError) << bad;
  }
}

}  // namespace
}  // namespace ds::io

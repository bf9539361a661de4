// A damaged newest set is refused by name, and the one before it is used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/io/checkpoint.h"
#include "tests/io/checkpoint_sets.h"
#include "tests/io/folder.h"

namespace ds::io {
namespace {

using ::ds::testing::expect_set;
using ::ds::testing::Folder;
using ::ds::testing::make_set;
using ::ds::testing::slurp;
using ::ds::testing::spill;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr size_t kElements = 50;
const char* const kFiles[] = {"manifest.json", "rank-0-of-2.safetensors", "rank-1-of-2.safetensors"};

class Damage : public ::testing::Test {
 protected:
  void SetUp() override {
    make_set(dir_.path(), 100, 0, 9, 2, kElements);
    make_set(dir_.path(), 200, 0, 9, 2, kElements);
  }
  std::string file(const char* name) const { return dir_ / (std::string("step-00000200/") + name); }

  void expect_fall_back(const std::string& what) {
    const Latest found = latest(dir_.path());
    ASSERT_TRUE(found.checkpoint.has_value()) << what;
    ASSERT_EQ(found.checkpoint->state().step, 100) << what;
    expect_set(*found.checkpoint, 2, kElements);
    ASSERT_EQ(found.refused.size(), 1u) << what;
    EXPECT_THAT(found.refused[0], StartsWith("step-00000200: "));
    EXPECT_GT(found.refused[0].size(), strlen("step-00000200: ")) << what;
  }

  const Folder dir_;
};

TEST_F(Damage, TruncatedAtEveryByte) {
  for (const char* name : kFiles) {
    const std::string good = slurp(file(name));
    for (size_t n = 0; n < good.size(); ++n) {
      spill(file(name), good.substr(0, n));
      expect_fall_back(std::string(name) + " cut to " + std::to_string(n));
      if (HasFatalFailure()) return;
    }
    spill(file(name), good + '\0');
    expect_fall_back(std::string(name) + " with a byte too many");
    spill(file(name), good);
  }
  EXPECT_EQ(latest(dir_.path()).checkpoint->state().step, 200);
}

TEST_F(Damage, OneBitFlippedAnywhere) {
  std::mt19937 random(5);
  for (const char* name : kFiles) {
    const std::string good = slurp(file(name));
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] ^= static_cast<char>(1u << random() % 8);
      spill(file(name), bad);
      expect_fall_back(std::string(name) + " flipped at " + std::to_string(at));
      if (HasFatalFailure()) return;
    }
    spill(file(name), good);
  }
}

TEST_F(Damage, FilesMissingOrSwapped) {
  for (const char* name : kFiles) {
    const std::string good = slurp(file(name));
    std::filesystem::remove(file(name));
    expect_fall_back(std::string(name) + " missing");
    std::filesystem::create_directory(file(name));
    expect_fall_back(std::string(name) + " is a folder");
    std::filesystem::remove(file(name));
    spill(file(name), good);
  }
  spill(file(kFiles[1]), slurp(file(kFiles[2])));
  expect_fall_back("shards swapped");
}

TEST_F(Damage, AWholeManifestOfAnotherStep) {
  spill(file(kFiles[0]), slurp(dir_ / "step-00000100/manifest.json"));
  expect_fall_back("manifest of step 100");
  EXPECT_THAT(latest(dir_.path()).refused[0], HasSubstr("is of step 100"));
}

TEST_F(Damage, NamesTheFileAndTheReason) {
  std::string bad = slurp(file(kFiles[2]));
  bad.back() ^= 1;
  spill(file(kFiles[2]), bad);
  EXPECT_THAT(latest(dir_.path()).refused[0], HasSubstr("rank-1-of-2.safetensors has the checksum"));
  spill(file(kFiles[2]), bad.substr(0, 70));
  EXPECT_THAT(latest(dir_.path()).refused[0], HasSubstr("rank-1-of-2.safetensors has 70 bytes"));
  std::string manifest = slurp(file(kFiles[0]));
  manifest.replace(manifest.find("\"step\": 200"), 11, "\"step\": 201");
  spill(file(kFiles[0]), manifest);
  EXPECT_THAT(latest(dir_.path()).refused[0], HasSubstr("does not agree with its checksum"));
}

TEST_F(Damage, OfEverySetMeansAFreshStart) {
  spill(file(kFiles[0]), "{}");
  spill(dir_ / "step-00000100/manifest.json", "");
  const Latest found = latest(dir_.path());
  EXPECT_FALSE(found.checkpoint.has_value());
  ASSERT_EQ(found.refused.size(), 2u);
  EXPECT_THAT(found.refused[0], StartsWith("step-00000200"));
  EXPECT_THAT(found.refused[1], StartsWith("step-00000100"));
}

}  // namespace
}  // namespace ds::io

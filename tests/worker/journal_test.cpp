#include "worker/executor/journal.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace ds::worker {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    char name[] = "/tmp/ds-journal-test-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~JournalTest() override { std::filesystem::remove_all(folder_); }

  void write(int64_t generation, int64_t from, int64_t to, const std::string& kind = "train") {
    Journal journal(folder_, generation);
    for (int64_t step = from; step <= to; ++step) {
      v1::MetricRecord record;
      record.set_kind(kind);
      record.set_step(step);
      record.set_generation(generation);
      journal.append({&record, 1});
    }
  }
  std::string replay(int64_t generation, int64_t after, int64_t up_to) {  // "step/generation ..."
    std::string text;
    for (const auto& r : Journal::replay(folder_, generation, after, up_to)) {
      text += std::to_string(r.step()) + "/" + std::to_string(r.generation()) + (r.kind() == "eval" ? "e " : " ");
    }
    return text;
  }
  std::string folder_;
};

TEST_F(JournalTest, TheNewestWordOnAStepStands) {
  write(1, 1, 6);
  write(2, 5, 8);  // resumed after step 4
  write(2, 6, 6, "eval");
  EXPECT_EQ(replay(3, 3, 7), "4/1 5/2 6/2e 6/2 7/2 ");
  EXPECT_EQ(replay(2, 0, 3), "1/1 2/1 3/1 ");
  EXPECT_EQ(replay(1, 0, 9), "");
}

// What is stored is told by the steps of training.
TEST_F(JournalTest, AnEvaluationAtTheLastStepThatIsStoredIsToldToo) {
  write(1, 0, 0, "eval");  // before training
  write(1, 1, 4);
  write(1, 2, 2, "eval");
  EXPECT_EQ(replay(2, 0, 3), "0/1e 1/1 2/1e 2/1 3/1 ");
  EXPECT_EQ(replay(2, 2, 3), "2/1e 3/1 ");
}

TEST_F(JournalTest, ATornLastRecordIsLeftOut) {
  write(1, 1, 3);
  std::string path = folder_ + "/metrics/gen-1.records";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 2);
  EXPECT_EQ(replay(2, 0, 9), "1/1 2/1 ");
}

TEST_F(JournalTest, AFolderWithoutOneHasNothingToTell) { EXPECT_EQ(replay(5, 0, 100), ""); }

}  // namespace
}  // namespace ds::worker

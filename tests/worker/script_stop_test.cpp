// A script that does not ask whether it should stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/io/folder.h"
#include "worker/executor/script.h"

namespace ds::worker {
namespace {

using ::testing::HasSubstr;

// The coordinator ends it after 60 s, executor and all, and nobody would say why there is no checkpoint.
TEST(ScriptStop, OneThatDoesNotHeedItIsEndedWithAWarningBeforeTheCoordinatorEndsItWithoutOne) {
  EXPECT_LT(ScriptOptions().stop_grace, 60 - 5);
  const ds::testing::Folder folder;
  ds::testing::spill(folder / "deaf.py", "import time\nwhile True: time.sleep(1)\n");
  v1::StartRank start;
  start.set_job_dir(folder / "job");
  start.mutable_spec()->set_name("deaf");
  start.mutable_spec()->mutable_model()->set_script(folder / "deaf.py");
  std::filesystem::create_directories(start.job_dir());
  Reporter reporter(start);
  reporter.request_stop();
  const v1::ExecutorDone done = run_script(start, {.python = "python3", .threads = 1, .stop_grace = 0.3}, reporter);
  EXPECT_TRUE(done.stopped());
  EXPECT_FALSE(done.succeeded());
  const std::optional<v1::ExecutorMetrics> told = reporter.take();
  ASSERT_TRUE(told);
  EXPECT_THAT(told->warning(),
              HasSubstr("did not heed job.should_stop() within 0.3 s: it was ended without a checkpoint"));
}

}  // namespace
}  // namespace ds::worker

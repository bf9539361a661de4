// Executors and workers that die, stop or hang: seen soon, named, and nothing left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/worker/cluster.h"

namespace ds::worker::testing {
namespace {

using ::testing::HasSubstr;

// Children of `parent`, in any state.
int children(pid_t parent) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    std::string stat = read_file(absl::StrCat("/proc/", pid, "/stat"));
    size_t end = stat.rfind(')');
    if (end == std::string::npos) continue;
    int father = 0;
    if (sscanf(stat.c_str() + end + 1, " %*c %d", &father) == 1 && father == parent) ++count;
  }
  return count;
}

TEST(Failure, AKilledExecutorIsReportedWithinASecond) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 3));
  absl::Time killed = absl::Now();
  kill(pid, SIGKILL);
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(1));
  ASSERT_TRUE(end);
  RecordProperty("report_ms", static_cast<int>(absl::ToInt64Milliseconds(absl::Now() - killed)));
  EXPECT_TRUE(end->retryable());
  EXPECT_EQ(end->exit_code(), 128 + SIGKILL);
  EXPECT_THAT(end->detail(), HasSubstr(absl::StrCat("rank 0 (pid ", pid, ") killed by SIGKILL (9)")));
  EXPECT_THAT(end->detail(), HasSubstr("line 0 of rank 0"));
}

TEST(Failure, ACrashNamesItsSignal) {
  Cluster cluster;
  cluster.run_rank("a", 1, 1, 2, "ms=5,crash=3");
  auto end = cluster.coordinator.wait_state("a", 1, 1, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_THAT(end->detail(), HasSubstr("killed by SIGABRT (6)"));
  EXPECT_THAT(end->detail(), HasSubstr("step 3 line 0 of rank 1"));
  EXPECT_TRUE(end->retryable());
}

TEST(Failure, AnExecutorThatCannotStartIsReported) {
  Cluster cluster({}, "/nonexistent/ds-executor");
  cluster.start_rank("a", 1, 0, 1, "ms=5");
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_THAT(end->detail(), HasSubstr("/nonexistent/ds-executor"));
}

TEST(Failure, AStoppedExecutorIsNamedAndKilled) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 1, 2, "ms=5");
  kill(pid, SIGSTOP);
  auto end = cluster.coordinator.wait_state("a", 1, 1, v1::RANK_EXITED, absl::Seconds(5));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->retryable());
  EXPECT_THAT(end->detail(), HasSubstr(absl::StrCat("rank 1 (pid ", pid, ") sent no heartbeat for 3.")));
  EXPECT_THAT(end->detail(), HasSubstr("state T (stopped)"));
  EXPECT_EQ(end->failure(), v1::FAILURE_INFRASTRUCTURE);
  EXPECT_FALSE(alive(pid));
}

TEST(Failure, OfAHungJobOnlyTheFrozenRankIsBlamed) {
  Cluster cluster;
  pid_t waiting = cluster.run_rank("a", 1, 0, 2, "ms=5,collective=3");
  pid_t frozen = cluster.run_rank("a", 1, 1, 2, "ms=5,hang=3");
  auto end = cluster.coordinator.wait_state("a", 1, 1, v1::RANK_EXITED, absl::Seconds(25));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->retryable());
  EXPECT_THAT(end->detail(), HasSubstr(absl::StrCat("rank 1 (pid ", frozen, ") has not moved for 15.")));
  EXPECT_THAT(end->detail(), HasSubstr("step 3, computing"));
  EXPECT_EQ(end->failure(), v1::FAILURE_TIMEOUT);
  EXPECT_FALSE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Milliseconds(300)));
  EXPECT_TRUE(alive(waiting));
}

TEST(Failure, NoExecutorOutlivesAKilledWorker) {
  Cluster cluster;
  pid_t running = cluster.run_rank("a", 1, 0, 2, "ms=5");
  pid_t stopped = cluster.run_rank("a", 1, 1, 2, "ms=5");
  kill(stopped, SIGSTOP);
  cluster.worker->signal(SIGKILL);
  EXPECT_TRUE(wait_gone(running, absl::Seconds(1)));
  EXPECT_TRUE(wait_gone(stopped, absl::Seconds(1)));
}

TEST(Failure, AnExecutorThatIsJustStartingDiesWithItsWorkerToo) {
  Cluster cluster;
  cluster.start_rank("a", 1, 0, 1, "ms=5");
  auto spawned = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_SPAWNED);
  ASSERT_TRUE(spawned);
  cluster.worker->signal(SIGKILL);
  EXPECT_TRUE(wait_gone(static_cast<pid_t>(spawned->pid()), absl::Seconds(1)));
}

TEST(Failure, LeavesNoZombies) {
  Cluster cluster;
  for (int generation = 1; generation <= 4; ++generation) {
    pid_t pid = cluster.run_rank("a", generation, 0, 1, "ms=5");
    if (generation % 2 == 0) kill(pid, SIGKILL);
  }
  cluster.stop_rank("a", 4, 0, false);
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 4, 0, v1::RANK_EXITED, absl::Seconds(2)));
  EXPECT_TRUE(eventually([&] { return children(cluster.worker->pid()) == 0; }, absl::Seconds(2)));
}

TEST(Failure, RecordsThatDiedWithAWorkerComeAgainFromTheJournal) {
  Cluster cluster;
  cluster.coordinator.acknowledge(false);
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 20));
  cluster.worker->signal(SIGKILL);
  ASSERT_TRUE(wait_gone(pid, absl::Seconds(1)));
  cluster.worker.reset();
  cluster.coordinator.forget();
  cluster.worker = std::make_unique<WorkerProcess>(cluster.coordinator, cluster.folder);
  ASSERT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_register_(); }));
  cluster.start_rank("a", 2, 0, 1, "ms=5,resume=18", /*metrics_step=*/10);
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 2, 0, v1::RANK_READY));
  cluster.meet("a", 2, 0, 1);
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 20));
  std::vector<int64_t> steps;
  for (const auto& m : cluster.coordinator.messages()) {
    for (const auto& record : m.metrics().records()) steps.push_back(record.step());
  }
  steps.resize(10);
  EXPECT_THAT(steps, ::testing::ElementsAre(11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
}

TEST(Failure, AnExecutorOfAnOlderGenerationElsewhereEndsBeforeItWrites) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(write_file_atomically(cluster.folder + "/jobs/a/generation", "2\n").ok());  // as another worker would
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(2));
  ASSERT_TRUE(end);
  EXPECT_THAT(end->detail(), HasSubstr("generation 2 owns the job now"));
  EXPECT_FALSE(alive(pid));
}

}  // namespace
}  // namespace ds::worker::testing

// The stream to the coordinator: lost, opened again, and nothing missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/worker/cluster.h"

namespace ds::worker::testing {
namespace {

using ::testing::HasSubstr;

bool is_register(const v1::WorkerMessage& m) { return m.has_register_(); }

std::vector<int64_t> sequences(const std::vector<v1::WorkerMessage>& messages) {
  std::vector<int64_t> found;
  for (const auto& m : messages) {
    if (m.has_metrics()) found.push_back(m.metrics().sequence());
  }
  return found;
}

TEST(Stream, ALostCoordinatorStopsNoStepAndFindsItsRanksAgain) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 5));
  cluster.coordinator.stop();
  std::string log = cluster.folder + "/data/logs/a/gen-1-rank-0.log";
  size_t before = read_file(log).size();
  ASSERT_TRUE(eventually([&] { return read_file(log).size() > before + 2000; }, absl::Seconds(5)));  // steps go on
  cluster.coordinator.start();
  cluster.coordinator.forget();
  auto hello = cluster.coordinator.wait(is_register, absl::Seconds(3));
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello->register_().executors_size(), 1);
  const v1::ExecutorReport& found = hello->register_().executors(0);
  EXPECT_EQ(found.pid(), pid);
  EXPECT_EQ(found.state(), v1::RANK_RUNNING);
  EXPECT_EQ(found.address(), "lonely");
  EXPECT_TRUE(alive(pid));
}

TEST(Stream, EveryRecordComesAcrossAnOutage) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "ms=5,steps=300");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 5));
  cluster.coordinator.stop();
  std::string log = cluster.folder + "/data/logs/a/gen-1-rank-0.log";
  ASSERT_TRUE(eventually([&] { return read_file(log).find("step 200 ") != std::string::npos; }, absl::Seconds(10)));
  cluster.coordinator.start();
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code(), 0);
  std::set<int64_t> steps;
  for (const auto& m : cluster.coordinator.messages()) {
    for (const auto& record : m.metrics().records()) steps.insert(record.step());
  }
  EXPECT_EQ(steps.size(), 300u);
  auto whole = [&] { return cluster.coordinator.log("a", 1, 0) == read_file(log); };
  EXPECT_TRUE(eventually(whole, absl::Seconds(3)));
}

TEST(Stream, AnEndDuringAnOutageIsToldAfterTheRecordsBeforeIt) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5,steps=60");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 1));
  cluster.coordinator.stop();
  ASSERT_TRUE(wait_gone(pid, absl::Seconds(5)));
  cluster.coordinator.forget();
  cluster.coordinator.start();
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code(), 0);
  auto messages = cluster.coordinator.messages();
  ASSERT_EQ(messages[0].register_().executors_size(), 1);
  EXPECT_EQ(messages[0].register_().executors(0).state(), v1::RANK_RUNNING);
  bool last_step = false;
  for (const auto& m : messages) {
    last_step = last_step || m.metrics().progress().step() == 60;
    if (m.executor().state() == v1::RANK_EXITED) break;
  }
  EXPECT_TRUE(last_step) << "the end came before the last records";
}

TEST(Stream, MetricsGoAgainUntilTheyAreAcknowledged) {
  Cluster cluster;
  cluster.coordinator.acknowledge(false);
  cluster.run_rank("a", 1, 0, 1, "ms=5,steps=30");
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED));
  std::vector<int64_t> first = sequences(cluster.coordinator.messages());
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(first.front(), 1);
  cluster.coordinator.stop();
  cluster.coordinator.forget();
  cluster.coordinator.acknowledge(true);
  cluster.coordinator.start();
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED));
  EXPECT_EQ(sequences(cluster.coordinator.messages()), first);
  cluster.coordinator.stop();
  cluster.coordinator.forget();
  cluster.coordinator.start();
  ASSERT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_heartbeat(); }));
  EXPECT_TRUE(sequences(cluster.coordinator.messages()).empty());
}

TEST(Stream, LogsGoOnWhereTheCoordinatorHasThem) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "ms=5,shout=20");
  auto piece = cluster.coordinator.wait([](const auto& m) { return m.log().offset() > 0; });
  ASSERT_TRUE(piece);
  cluster.coordinator.stop();
  int64_t stored = static_cast<int64_t>(cluster.coordinator.log("a", 1, 0).size());
  cluster.coordinator.forget();
  cluster.coordinator.start();
  auto next = cluster.coordinator.wait([](const auto& m) { return m.has_log(); });
  ASSERT_TRUE(next);
  EXPECT_LE(next->log().offset(), stored);  // no gap ...
  EXPECT_GT(next->log().offset(), 0);       // ... and not all of it again
  std::string log = cluster.folder + "/data/logs/a/gen-1-rank-0.log";
  size_t now = read_file(log).size();
  ASSERT_TRUE(eventually([&] { return cluster.coordinator.log("a", 1, 0).size() > now; }, absl::Seconds(5)));
  std::string got = cluster.coordinator.log("a", 1, 0);
  EXPECT_EQ(got, read_file(log).substr(0, got.size()));
}

TEST(Stream, TheLogOfADeadWorkerIsShippedByTheNextOne) {
  Cluster cluster;
  cluster.coordinator.acknowledge(false);
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 20));
  cluster.worker->signal(SIGKILL);
  ASSERT_TRUE(wait_gone(pid, absl::Seconds(1)));
  cluster.worker.reset();
  cluster.coordinator.acknowledge(true);
  cluster.worker = std::make_unique<WorkerProcess>(cluster.coordinator, cluster.folder);
  std::string log = cluster.folder + "/data/logs/a/gen-1-rank-0.log";
  EXPECT_TRUE(eventually([&] { return cluster.coordinator.log("a", 1, 0) == read_file(log); }, absl::Seconds(5)));
  EXPECT_TRUE(eventually([&] { return alive(cluster.worker->pid()) && !read_file(log).empty(); }, absl::Seconds(1)));
}

TEST(Stream, AFencedWorkerEndsWithItsExecutors) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  v1::CoordinatorMessage fenced;
  fenced.mutable_fenced()->set_reason("a newer w0 has registered");
  cluster.coordinator.send(fenced);
  auto exit = cluster.worker->wait(absl::Seconds(3));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 3);
  EXPECT_FALSE(alive(pid));
  EXPECT_THAT(read_file(cluster.folder + "/worker.log"), HasSubstr("fenced: a newer w0 has registered"));
}

TEST(Stream, AWorkerThatFindsNoCoordinatorStillEndsOnSigterm) {
  Cluster cluster;
  cluster.coordinator.stop();
  cluster.worker->signal(SIGTERM);
  auto exit = cluster.worker->wait(absl::Seconds(5));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0) << exit->text;
}

}  // namespace
}  // namespace ds::worker::testing

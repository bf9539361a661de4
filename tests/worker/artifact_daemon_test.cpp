// A worker daemon that fetches what a rank needs before it spawns it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "proto/digest/digest.h"
#include "tests/worker/cluster.h"

namespace ds::worker::testing {
namespace {

using ::testing::HasSubstr;

const std::string kGraph = std::string(1 << 20, 'g') + "raph";

v1::CoordinatorMessage start_message(const Cluster& cluster, const std::string& job, int rank, int ranks) {
  v1::CoordinatorMessage message;
  v1::StartRank& start = *message.mutable_start();
  start.set_job(job);
  start.set_generation(1);
  start.set_rank(rank);
  start.set_ranks(ranks);
  start.set_device("cpu:" + std::to_string(rank));
  start.set_job_dir(cluster.folder + "/jobs/" + job);
  start.mutable_spec()->mutable_data()->set_dataset("steps=1000000");
  return message;
}

void start_graph(Cluster& cluster, const std::string& job, const std::string& digest, int rank = 0, int ranks = 1) {
  v1::CoordinatorMessage message = start_message(cluster, job, rank, ranks);
  message.mutable_start()->mutable_spec()->mutable_model()->set_graph(digest);
  cluster.coordinator.send(message);
}

// What the worker wrote for the executor of rank 0 of `job`.
v1::StartRank job_file(const Cluster& cluster, const std::string& job) {
  v1::StartRank start;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cluster.folder + "/data")) {
    if (entry.path().extension() != ".start") continue;
    start.ParseFromString(read_file(entry.path()));
    if (start.job() == job && start.rank() == 0) return start;
  }
  return {};
}

std::optional<v1::ExecutorReport> wait_detail(Cluster& cluster, const std::string& words) {
  auto message = cluster.coordinator.wait(
      [&](const v1::WorkerMessage& m) { return m.executor().detail().find(words) != std::string::npos; });
  return message ? std::optional(message->executor()) : std::nullopt;
}

int heartbeats(Cluster& cluster) {
  const auto messages = cluster.coordinator.messages();
  return static_cast<int>(
      std::count_if(messages.begin(), messages.end(), [](const auto& m) { return m.has_heartbeat(); }));
}

TEST(ArtifactDaemon, TheExecutorGetsLocalFiles) {
  Cluster cluster;
  const std::string script = cluster.coordinator.artifacts.add("print(1)\n");
  const std::string data = cluster.coordinator.artifacts.add(kGraph);
  v1::CoordinatorMessage message = start_message(cluster, "j", 0, 1);
  v1::JobSpec& spec = *message.mutable_start()->mutable_spec();
  spec.mutable_model()->set_script(script);
  spec.mutable_data()->set_path(data);
  cluster.coordinator.send(message);
  const auto ready = cluster.coordinator.wait_state("j", 1, 0, v1::RANK_READY);
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->detail(), "") << "no word of fetching any more";
  const v1::StartRank start = job_file(cluster, "j");
  ASSERT_EQ(start.artifacts_size(), 2);
  EXPECT_EQ(read_file(start.artifacts().at(script)), "print(1)\n");
  EXPECT_TRUE(read_file(start.artifacts().at(data)) == kGraph);
  struct stat info {};
  ASSERT_EQ(stat(start.artifacts().at(script).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0222, 0u) << "shared: nobody's to change";
}

TEST(ArtifactDaemon, RanksShareOneFetchWhileHeartbeatsGoOn) {
  Cluster cluster;
  const std::string graph = cluster.coordinator.artifacts.add(kGraph);
  cluster.coordinator.artifacts.stand_still_after(256 << 10);
  start_graph(cluster, "j", graph, 0, 2);
  start_graph(cluster, "j", graph, 1, 2);
  const auto fetching = wait_detail(cluster, "fetching " + digest::brief(graph));
  ASSERT_TRUE(fetching);
  EXPECT_EQ(fetching->state(), v1::RANK_ASSIGNED);
  const int before = heartbeats(cluster);
  EXPECT_TRUE(eventually([&] { return heartbeats(cluster) >= before + 5; }, absl::Seconds(10)));
  EXPECT_TRUE(wait_detail(cluster, "25% of 1048580 bytes"));
  cluster.coordinator.artifacts.stand_still_after(-1);
  EXPECT_TRUE(cluster.coordinator.wait_state("j", 1, 0, v1::RANK_READY));
  EXPECT_TRUE(cluster.coordinator.wait_state("j", 1, 1, v1::RANK_READY));
  EXPECT_EQ(cluster.coordinator.artifacts.offsets().size(), 1u);
}

TEST(ArtifactDaemon, ACoordinatorThatIsRestartedInTheMiddleGoesOnThere) {
  Cluster cluster;
  const std::string graph = cluster.coordinator.artifacts.add(kGraph);
  cluster.coordinator.artifacts.stand_still_after(512 << 10);
  start_graph(cluster, "j", graph);
  ASSERT_TRUE(wait_detail(cluster, "50% of"));
  cluster.coordinator.stop();
  cluster.coordinator.artifacts.stand_still_after(-1);
  cluster.coordinator.start();
  EXPECT_TRUE(cluster.coordinator.wait_state("j", 1, 0, v1::RANK_READY));
  EXPECT_THAT(cluster.coordinator.artifacts.offsets(), ::testing::ElementsAre(0, 512 << 10));
  EXPECT_TRUE(read_file(job_file(cluster, "j").artifacts().at(graph)) == kGraph);
}

TEST(ArtifactDaemon, WhatTheCoordinatorLacksFailsTheJobWithWords) {
  Cluster cluster;
  const std::string missing = "sha256:" + std::string(64, '0');
  start_graph(cluster, "j", missing);
  const auto exited = cluster.coordinator.wait_state("j", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(exited);
  EXPECT_FALSE(exited->retryable());
  EXPECT_NE(exited->exit_code(), 0);
  EXPECT_THAT(exited->detail(), HasSubstr("worker w0 cannot fetch " + missing));
  EXPECT_THAT(exited->detail(), HasSubstr("is not here"));
}

TEST(ArtifactDaemon, WhatDoesNotFitIsAFailureAnotherWorkerMayNotHave) {
  Cluster cluster({"--artifact-cache", "512KiB"});
  start_graph(cluster, "j", cluster.coordinator.artifacts.add(kGraph));
  const auto exited = cluster.coordinator.wait_state("j", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(exited);
  EXPECT_TRUE(exited->retryable());
  EXPECT_THAT(exited->detail(), HasSubstr("does not fit into this worker's cache of 524288"));
}

TEST(ArtifactDaemon, AStopEndsTheFetch) {
  Cluster cluster;
  const std::string graph = cluster.coordinator.artifacts.add(kGraph);
  cluster.coordinator.artifacts.stand_still_after(256 << 10);
  start_graph(cluster, "j", graph);
  ASSERT_TRUE(wait_detail(cluster, "25% of"));
  cluster.stop_rank("j", 1, 0, false);
  ASSERT_TRUE(cluster.coordinator.wait_state("j", 1, 0, v1::RANK_EXITED));
  cluster.coordinator.artifacts.stand_still_after(-1);
  EXPECT_TRUE(eventually(
      [&] {
        std::error_code error;
        return std::filesystem::is_empty(cluster.folder + "/data/artifacts", error);
      },
      absl::Seconds(10)));
}

TEST(ArtifactDaemon, ADamagedCacheOfAnEarlierDaemonIsFetchedAnew) {
  Cluster cluster;
  const std::string graph = cluster.coordinator.artifacts.add(kGraph);
  start_graph(cluster, "a", graph);
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_READY));
  cluster.worker->signal(SIGKILL);
  ASSERT_TRUE(cluster.worker->wait(absl::Seconds(10)));
  const std::string file = cluster.folder + "/data/artifacts/" + digest::hex_of(graph);
  chmod(file.c_str(), 0644);
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(77);
    stream.put('!');
  }
  cluster.coordinator.forget();
  cluster.worker = std::make_unique<WorkerProcess>(cluster.coordinator, cluster.folder);
  ASSERT_TRUE(cluster.coordinator.wait([](const v1::WorkerMessage& m) { return m.has_register_(); }));
  start_graph(cluster, "b", graph);
  ASSERT_TRUE(cluster.coordinator.wait_state("b", 1, 0, v1::RANK_READY));
  EXPECT_TRUE(read_file(file) == kGraph);
  EXPECT_EQ(cluster.coordinator.artifacts.offsets().size(), 2u);
}

}  // namespace
}  // namespace ds::worker::testing

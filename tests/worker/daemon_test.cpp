// A worker that is well: what it runs, what it tells, how it ends.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/cluster.h"

namespace ds::worker::testing {
namespace {

using ::testing::HasSubstr;

std::string http_get(const std::string& address, const std::string& path) {
  size_t colon = address.rfind(':');
  int port = 0;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port)) return "";
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "";
  std::string request = "GET " + path + " HTTP/1.0\r\n\r\n", reply(1 << 16, '\0');
  if (::write(fd.get(), request.data(), request.size()) < 0) return "";
  size_t size = 0;
  while (size < reply.size()) {
    ssize_t n = ::read(fd.get(), reply.data() + size, reply.size() - size);
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  return reply.substr(0, size);
}

std::vector<int64_t> steps_of(ScriptedCoordinator& coordinator, const std::string& job) {
  std::vector<int64_t> steps;
  for (const auto& message : coordinator.messages()) {
    if (message.metrics().job() != job) continue;
    for (const auto& record : message.metrics().records()) steps.push_back(record.step());
  }
  return steps;
}

TEST(Daemon, RegistersWithItsSlotsAndLabelsAndBeats) {
  Cluster cluster;
  auto hello = cluster.coordinator.wait([](const auto& m) { return m.has_register_(); });
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->register_().worker(), "w0");
  EXPECT_EQ(hello->register_().slots(), 2);
  EXPECT_EQ(hello->register_().labels().at("rack"), "r1");
  EXPECT_FALSE(hello->register_().incarnation().empty());
  EXPECT_EQ(hello->register_().executors_size(), 0);
  EXPECT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_heartbeat(); }, absl::Seconds(2)));
  EXPECT_TRUE(eventually([&] { return !read_file(cluster.folder + "/ready").empty(); }, absl::Seconds(2)));
  EXPECT_THAT(read_file(cluster.folder + "/ready"), HasSubstr(absl::StrCat("\"pid\":", cluster.worker->pid())));
}

TEST(Daemon, RunsARankToItsEndWithAllItsRecordsAndItsWholeLog) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "steps=40,ms=5,every=20");
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code(), 0) << end->detail();
  EXPECT_FALSE(end->stopped());
  std::vector<int64_t> all(40);
  for (int i = 0; i < 40; ++i) all[i] = i + 1;
  EXPECT_EQ(steps_of(cluster.coordinator, "a"), all);  // before the end was told
  EXPECT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.metrics().checkpoint_step() == 40; }));
  auto whole = [&] {
    std::string log = cluster.coordinator.log("a", 1, 0);
    return !log.empty() && log == read_file(cluster.folder + "/data/logs/a/gen-1-rank-0.log");
  };
  EXPECT_TRUE(eventually(whole, absl::Seconds(3)));
  EXPECT_THAT(cluster.coordinator.log("a", 1, 0), HasSubstr("step 40 line 0 of rank 0\n"));
}

TEST(Daemon, PinsARankToItsShareOfTheCores) {
  Cluster cluster({"--cores", "0"});
  pid_t pid = cluster.run_rank("a", 1, 1, 2, "ms=5");
  std::string status = read_file(absl::StrCat("/proc/", pid, "/status"));
  EXPECT_THAT(status, HasSubstr("Cpus_allowed_list:\t0\n"));
  EXPECT_THAT(read_file(absl::StrCat("/proc/", pid, "/cmdline")), HasSubstr(std::string("--threads\0001", 11)));
}

TEST(Daemon, StopsWithACheckpointWhenAsked) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 3));
  cluster.stop_rank("a", 1, 0, true);
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(3));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->stopped()) << end->detail();
  EXPECT_TRUE(end->retryable());
  EXPECT_TRUE(
      cluster.coordinator.wait([](const auto& m) { return !m.metrics().checkpoint().empty(); }, absl::Seconds(1)));
}

TEST(Daemon, StopsARankThatStillWaitsForItsPeers) {
  Cluster cluster;
  cluster.start_rank("a", 1, 0, 2, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_READY));
  cluster.stop_rank("a", 1, 0, true);
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(3));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->stopped()) << end->detail();
}

TEST(Daemon, StopsARankThatCannotReachItsPeers) {
  Cluster cluster;
  cluster.start_rank("a", 1, 0, 2, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_READY));
  cluster.meet("a", 1, 0, 2, "block");
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_RUNNING));
  cluster.stop_rank("a", 1, 0, true);
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(3));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->stopped()) << end->detail();
}

TEST(Daemon, StopsAtOnceWithoutACheckpoint) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5,hang=2");
  cluster.stop_rank("a", 1, 0, false);
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(1));
  ASSERT_TRUE(end);
  EXPECT_NE(end->exit_code(), 0);
  EXPECT_FALSE(alive(pid));
}

TEST(Daemon, AnswersForARankItDoesNotRun) {
  Cluster cluster;
  cluster.stop_rank("nobody", 4, 0, false);
  auto end = cluster.coordinator.wait_state("nobody", 4, 0, v1::RANK_EXITED, absl::Seconds(1));
  ASSERT_TRUE(end);
  EXPECT_THAT(end->detail(), HasSubstr("no such rank"));
}

TEST(Daemon, ANewerGenerationReplacesAnOlderOneAndNeverTheOtherWay) {
  Cluster cluster;
  pid_t old = cluster.run_rank("a", 1, 0, 1, "ms=5");
  pid_t fresh = cluster.run_rank("a", 2, 0, 1, "ms=5");
  EXPECT_FALSE(alive(old));
  EXPECT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(2)));
  cluster.coordinator.forget();
  cluster.start_rank("a", 1, 1, 2, "ms=5");
  auto refused = cluster.coordinator.wait_state("a", 1, 1, v1::RANK_EXITED, absl::Seconds(2));
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->detail(), HasSubstr("generation 1 of a is older than 2"));
  EXPECT_TRUE(alive(fresh));
}

TEST(Daemon, TellsAnErrorOfTheUsersFromOneThatMayPass) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "error=user");
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->retryable());
  EXPECT_NE(end->exit_code(), 0);
  EXPECT_THAT(end->detail(), HasSubstr("no such dataset: \"error=user\""));
  EXPECT_EQ(end->failure(), v1::FAILURE_USER_ERROR);
  cluster.run_rank("b", 1, 0, 1, "error=engine");
  end = cluster.coordinator.wait_state("b", 1, 0, v1::RANK_EXITED);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->retryable());
  EXPECT_THAT(end->detail(), HasSubstr("[matmul] out of memory"));
  EXPECT_EQ(end->failure(), v1::FAILURE_INFRASTRUCTURE);
  const std::pair<const char*, v1::FailureClass> others[] = {{"error=nan", v1::FAILURE_NAN},
                                                             {"error=memory", v1::FAILURE_OOM}};
  for (const auto& [order, failure] : others) {
    cluster.run_rank(order, 1, 0, 1, order);
    end = cluster.coordinator.wait_state(order, 1, 0, v1::RANK_EXITED);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->failure(), failure);
    EXPECT_EQ(end->retryable(), failure == v1::FAILURE_OOM);
  }
}

TEST(Daemon, RefusesNewRanksWhileDrainingAndTellsWhenItIsEmpty) {
  Cluster cluster;
  cluster.run_rank("a", 1, 0, 1, "ms=5");
  v1::CoordinatorMessage drain;
  drain.mutable_drain();
  cluster.coordinator.send(drain);
  cluster.start_rank("b", 1, 1, 2, "ms=5");
  auto refused = cluster.coordinator.wait_state("b", 1, 1, v1::RANK_EXITED, absl::Seconds(2));
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->detail(), HasSubstr("takes no more ranks"));
  cluster.stop_rank("a", 1, 0, true);
  EXPECT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_drained(); }, absl::Seconds(5)));
  EXPECT_TRUE(alive(cluster.worker->pid()));
}

TEST(Daemon, TakesRanksAgainWhenItIsUndrained) {
  Cluster cluster;
  v1::CoordinatorMessage drain, undrain;
  drain.mutable_drain();
  undrain.mutable_undrain();
  cluster.coordinator.send(drain);
  ASSERT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_drained(); }));
  cluster.coordinator.send(undrain);
  cluster.run_rank("a", 1, 0, 1, "ms=5");
  EXPECT_TRUE(cluster.coordinator.wait_step("a", 2));
  EXPECT_FALSE(cluster.coordinator.wait([](const auto& m) { return m.heartbeat().draining(); }, absl::ZeroDuration()))
      << "only a daemon that ends says so";
}

TEST(Daemon, ItsRanksAreTakenForMemoryBeforeItself) {
  Cluster cluster;
  const pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  EXPECT_EQ(read_file(absl::StrCat("/proc/", pid, "/oom_score_adj")), "900\n");
  EXPECT_NE(read_file(absl::StrCat("/proc/", cluster.worker->pid(), "/oom_score_adj")), "900\n");
}

TEST(Daemon, AnEndThatIsStoredIsNotToldAgain) {
  Cluster cluster;
  cluster.coordinator.acknowledge_ends(true);
  cluster.run_rank("a", 1, 0, 1, "ms=5,steps=3");
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED));
  cluster.run_rank("b", 1, 0, 1, "ms=5");  // when this is heard, so was the acknowledgement
  cluster.coordinator.stop();
  cluster.coordinator.forget();
  cluster.coordinator.start();
  auto hello = cluster.coordinator.wait([](const auto& m) { return m.has_register_(); });
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello->register_().executors_size(), 1);
  EXPECT_EQ(hello->register_().executors(0).job(), "b");
  ASSERT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_heartbeat(); }));
  EXPECT_FALSE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::ZeroDuration()));
  cluster.stop_rank("a", 1, 0, false);  // but who asks gets an answer
  EXPECT_TRUE(cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED));
}

TEST(Daemon, WarnsOfALostCheckpoint) {
  Cluster cluster;
  cluster.start_rank("a", 2, 0, 1, "ms=5", 0, 40);
  ASSERT_TRUE(cluster.coordinator.wait_state("a", 2, 0, v1::RANK_READY));
  cluster.meet("a", 2, 0, 1);
  auto warned = cluster.coordinator.wait([](const auto& m) { return !m.metrics().warning().empty(); });
  ASSERT_TRUE(warned);
  EXPECT_EQ(warned->metrics().warning(),
            "the checkpoint of step 40 is gone or refused: training went on from the beginning");
  cluster.run_rank("b", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("b", 3));
  EXPECT_FALSE(cluster.coordinator.wait(
      [](const auto& m) { return m.metrics().job() == "b" && !m.metrics().warning().empty(); }, absl::ZeroDuration()));
}

TEST(Daemon, EndsGracefullyOnSigterm) {
  Cluster cluster;
  pid_t pid = cluster.run_rank("a", 1, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 2));
  cluster.worker->signal(SIGTERM);
  auto exit = cluster.worker->wait(absl::Seconds(5));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0) << exit->text;
  EXPECT_FALSE(alive(pid));
  auto end = cluster.coordinator.wait_state("a", 1, 0, v1::RANK_EXITED, absl::Seconds(1));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->stopped());
  EXPECT_TRUE(
      cluster.coordinator.wait([](const auto& m) { return !m.metrics().checkpoint().empty(); }, absl::Seconds(1)));
  EXPECT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.heartbeat().draining(); }, absl::Seconds(1)));
  EXPECT_TRUE(cluster.coordinator.wait([](const auto& m) { return m.has_drained(); }, absl::Seconds(1)));
}

TEST(Daemon, ShowsItsRanksInPrometheusFormat) {
  Cluster cluster;
  cluster.run_rank("a", 2, 0, 1, "ms=5");
  ASSERT_TRUE(cluster.coordinator.wait_step("a", 5));
  std::string address =
      cluster.coordinator.wait([](const auto& m) { return m.has_register_(); })->register_().metrics_address();
  std::string page;
  auto has_steps = [&] {
    page = http_get(address, "/metrics");
    return page.find("ds_steps_total{worker=\"w0\",job=\"a\",rank=\"0\"} ") != std::string::npos &&
           page.find("ds_steps_total{worker=\"w0\",job=\"a\",rank=\"0\"} 0") == std::string::npos;
  };
  EXPECT_TRUE(eventually(has_steps, absl::Seconds(3))) << page;
  EXPECT_THAT(page, HasSubstr("ds_worker_executors{worker=\"w0\",state=\"running\"} 1"));
  EXPECT_THAT(page, HasSubstr("ds_rank_restarts_total{worker=\"w0\",job=\"a\",rank=\"0\"} 1"));
  for (const char* name : {"ds_step_seconds_total", "ds_samples_total", "ds_job_loss", "ds_allreduce_seconds_total",
                           "ds_allreduce_bytes_total", "ds_checkpoint_seconds_total", "ds_checkpoints_total",
                           "ds_executor_heartbeat_age_seconds"}) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat("\n", name, "{")));
  }
}

}  // namespace
}  // namespace ds::worker::testing

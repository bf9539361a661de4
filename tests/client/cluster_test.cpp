// dsctl cluster with daemons that are scripts: they come up, are found again, and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cluster.h"
#include "client/process.h"
#include "tests/client/fake_coordinator.h"
#include "tests/client/run_dsctl.h"

namespace ds::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Writes its flags beside its ready file and waits for SIGTERM.
const char kDaemon[] = R"(#!/bin/bash
echo "$0 started"
all="$*"
while (($#)); do [ "$1" = --ready-file ] && ready=$2; shift; done
echo "$all" > "$ready.flags"
[ -e "$(dirname "$0")/broken" ] && { echo "cannot open the store"; exit 1; }
echo "{\"address\": \"$DS_TEST_ADDRESS\", \"http\": \"127.0.0.1:8181\", \"metrics\": \"127.0.0.1:9191\", \"pid\": $$}" > "$ready.new"
mv "$ready.new" "$ready"
trap 'exit 0' TERM
[ -e "$(dirname "$0")/deaf" ] && trap '' TERM
exec 3<> <(:)
while :; do read -r -t 10 -u 3; done
)";

class Cluster : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(DSCTL, folder_.path() + "/dsctl");
    folder_.write("ds-coordinator", kDaemon, true);
    folder_.write("ds-worker", kDaemon, true);
  }
  void TearDown() override { run("cluster down"); }

  Outcome run(const std::string& arguments) {
    return run_shell(
        "DS_TEST_ADDRESS=" + coordinator_.address() + " DS_STATE_DIR=" + state() + "; unset DS_COORDINATOR",
        folder_.path() + "/dsctl " + arguments);
  }
  std::string state() const { return folder_.path() + "/state"; }
  Json status() { return Json::parse(run("cluster status -o json").out, nullptr, false); }

  // As the coordinator knows it.
  static v1::Worker worker(const std::string& name, int heard_seconds_ago) {
    v1::Worker worker;
    worker.set_name(name);
    worker.set_state(v1::WORKER_READY);
    worker.set_last_heartbeat_us(absl::ToUnixMicros(absl::Now() - absl::Seconds(heard_seconds_ago)));
    return worker;
  }

  TemporaryFolder folder_;
  FakeCoordinator coordinator_;  // the scripts only stand for processes
};

TEST_F(Cluster, UpStatusDown) {
  coordinator_.workers = {worker("worker-1", 0), worker("worker-2", 0)};
  const Outcome up = run("cluster up --workers 2 --slots 3");
  ASSERT_EQ(up.code, 0) << up.err;
  EXPECT_THAT(up.out, HasSubstr("2 workers, 6 slots"));
  EXPECT_THAT(up.out, HasSubstr("export DS_COORDINATOR=" + coordinator_.address() + "\n"));
  const std::string flags = read_text(state() + "/data/run/worker-2.json.flags");
  EXPECT_THAT(flags, HasSubstr("--coordinator " + coordinator_.address() + " --name worker-2 --slots 3 --cores "));
  EXPECT_THAT(flags, HasSubstr("--data " + state() + "/data/worker-2 --metrics 127.0.0.1:0"));
  const Json cluster = status();
  EXPECT_EQ(cluster["state"], "UP");
  EXPECT_EQ(cluster["workers"][0]["state"], "RUNNING");
  EXPECT_EQ(cluster["workers"][0]["metrics"], "127.0.0.1:9191");
  EXPECT_THAT(run("job list").out, HasSubstr("no jobs")) << "it is the default";

  const Outcome again = run("cluster up");
  EXPECT_EQ(again.code, 5);
  EXPECT_THAT(again.err, HasSubstr("a cluster is up at " + coordinator_.address()));

  EXPECT_EQ(Json::parse(run("cluster down -o json").out, nullptr, false), Json({{"stopped", 3}, {"killed", 0}}));
  EXPECT_FALSE(alive(identify(cluster["coordinator"]["pid"])));
  EXPECT_EQ(run("cluster status").code, 3);
  EXPECT_EQ(run("cluster down").code, 0) << "down already";
}

TEST_F(Cluster, StatusTellsWhoDoesNotAnswer) {
  coordinator_.workers = {worker("worker-1", 7), worker("worker-2", 0), worker("worker-3", 0)};
  ASSERT_EQ(run("cluster up --workers 4").code, 0);
  const pid_t stopped = status()["workers"][2]["pid"];
  kill(stopped, SIGSTOP);
  const Json cluster = status();
  EXPECT_EQ(cluster["state"], "DEGRADED");
  EXPECT_EQ(cluster["coordinator"]["state"], "RUNNING");
  const auto said = [&](int i) {
    return cluster["workers"][i]["state"].get<std::string>() + ": " +
           cluster["workers"][i]["detail"].get<std::string>();
  };
  EXPECT_THAT(said(0), MatchesRegex("UNRESPONSIVE: not heard for [78] s"));
  EXPECT_EQ(said(1), "RUNNING: ");
  EXPECT_THAT(said(2), HasSubstr("UNRESPONSIVE: its process is stopped"));
  EXPECT_THAT(said(3), HasSubstr("UNRESPONSIVE: the coordinator does not know it"));
  kill(stopped, SIGCONT);
  coordinator_.stop();
  EXPECT_EQ(status()["coordinator"]["state"], "UNRESPONSIVE");
  EXPECT_THAT(run("cluster status").out, HasSubstr("UNRESPONSIVE (no coordinator at"));
}

TEST_F(Cluster, ABrokenDaemonIsNamedAndNothingIsLeft) {
  folder_.write("broken", "");
  const Outcome up = run("cluster up");
  EXPECT_EQ(up.code, 6);
  EXPECT_THAT(up.err, HasSubstr("coordinator ended before it was ready"));
  EXPECT_THAT(up.err, HasSubstr("cannot open the store")) << "the end of its log";
  EXPECT_EQ(run("cluster status").code, 3);
}

TEST_F(Cluster, AMissingDaemonIsNamed) {
  std::filesystem::remove(folder_.path() + "/ds-worker");
  const Outcome up = run("cluster up");
  EXPECT_EQ(up.code, 3);
  EXPECT_THAT(up.err, HasSubstr("no ds-worker beside dsctl"));
}

// The record of a cluster that died with the machine must neither stand in the way nor kill a stranger.
TEST_F(Cluster, AnotherProcessOfTheSamePidIsNotOurs) {
  coordinator_.workers = {worker("worker-1", 0)};
  std::filesystem::create_directories(state());
  const Json ours = {{"pid", getpid()}, {"start", 1}};  // the pid of this test, the start of another process
  folder_.write(
      "state/cluster.json",
      Json({{"address", "127.0.0.1:1"}, {"coordinator", ours}, {"workers", {ours}}, {"data", "/none"}}).dump());
  EXPECT_EQ(status()["state"], "DOWN");
  EXPECT_EQ(run("cluster up --workers 1").code, 0);
  EXPECT_EQ(status()["state"], "UP");
}

TEST(ClusterCores, AreSharedEvenly) {
  EXPECT_THAT(share_of_cores({0, 1}, 2, 0), ElementsAre(0));
  EXPECT_THAT(share_of_cores({0, 1}, 2, 1), ElementsAre(1));
  EXPECT_THAT(share_of_cores({2, 3, 5}, 2, 0), ElementsAre(2));
  EXPECT_THAT(share_of_cores({2, 3, 5}, 2, 1), ElementsAre(3, 5));
  EXPECT_THAT(share_of_cores({0, 1}, 1, 0), ElementsAre(0, 1));
  EXPECT_THAT(share_of_cores({0, 1}, 5, 3), ElementsAre(1));
}

}  // namespace
}  // namespace ds::client

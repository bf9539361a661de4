// Script jobs: the user's own program under an executor, by what a coordinator hears of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/cluster.h"

namespace ds::worker::testing {
namespace {

using ::testing::HasSubstr;

// What python/deepseek/job.py does, without the package.
constexpr char kPrologue[] = R"(
import json, os, signal, socket, sys, threading, time
channel = socket.socket(fileno=int(os.environ["DS_JOB_CHANNEL"]))
def tell(**message): channel.sendall(json.dumps(message).encode() + b"\n")
def hear(): return json.loads(channel.makefile().readline())
)";

struct ScriptCluster : Cluster {
  using Cluster::Cluster;
  std::vector<v1::ScriptParam> params;
  pid_t run(const std::string& program, int rank = 0, int ranks = 1) {
    std::string path = folder + "/program";
    std::ofstream(path) << kPrologue << program;
    v1::CoordinatorMessage message;
    v1::StartRank& start = *message.mutable_start();
    start.set_job("s");
    start.set_generation(1);
    start.set_rank(rank);
    start.set_ranks(ranks);
    start.set_device(absl::StrCat("cpu:", rank));
    start.set_job_dir(folder + "/jobs/s");
    start.mutable_spec()->set_name("my-script");
    start.mutable_spec()->mutable_model()->set_script(path);
    start.mutable_spec()->mutable_model()->add_args("--lr=0.5");
    for (const v1::ScriptParam& param : params) *start.mutable_spec()->mutable_model()->add_params() = param;
    std::filesystem::create_directories(start.job_dir());
    coordinator.send(message);
    auto ready = coordinator.wait_state("s", 1, rank, v1::RANK_READY);
    EXPECT_TRUE(ready && !ready->address().empty());  // a coordinator waits for one
    meet("s", 1, rank, ranks, "");
    return ready ? static_cast<pid_t>(ready->pid()) : 0;
  }
  v1::ExecutorReport end(absl::Duration limit = absl::Seconds(15)) {
    auto report = coordinator.wait_state("s", 1, 0, v1::RANK_EXITED, limit);
    EXPECT_TRUE(report) << coordinator.log("s", 1, 0);
    return report.value_or(v1::ExecutorReport());
  }
};

TEST(Script, ReportsBecomeTheJobsHistory) {
  ScriptCluster cluster;
  cluster.run(R"(
assert sys.argv[1:] == ["--lr=0.5"], sys.argv
assert os.getcwd() == os.environ["DS_JOB_DIR"] and os.path.basename(__file__) == "my-script.py"
assert (os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["DS_JOB"]) == ("0", "1", "s")
for step in range(1, 4):
    tell(report={"step": step, "total_steps": 3, "loss": 1.0 / step, "samples": 64, "seconds": 0.5, "lr": 0.5})
tell(report={"step": 3, "test_accuracy": 0.75, "test_loss": 0.25})
tell(checkpoint="/somewhere/step-3.ds", step=3)
tell(warning="take care")
channel.sendall(b"no json\n" + b'{"report": {"step": "three"}}\n')
print("hello from the script")
)");
  EXPECT_EQ(cluster.end().exit_code(), 0);
  std::vector<v1::MetricRecord> records;
  std::string checkpoint, warning;
  v1::Progress progress;
  for (const v1::WorkerMessage& message : cluster.coordinator.messages()) {
    if (!message.has_metrics()) continue;
    const v1::MetricsBatch& batch = message.metrics();
    records.insert(records.end(), batch.records().begin(), batch.records().end());
    if (!batch.checkpoint().empty()) checkpoint = batch.checkpoint();
    if (!batch.warning().empty()) warning = batch.warning();
    progress = batch.progress();
  }
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[2].step(), 3);
  EXPECT_DOUBLE_EQ(records[1].loss(), 0.5);
  EXPECT_DOUBLE_EQ(records[0].samples_per_second(), 128);
  EXPECT_EQ(records[3].kind(), "eval");
  EXPECT_DOUBLE_EQ(records[3].accuracy(), 0.75);
  EXPECT_EQ(progress.total_steps(), 3);
  EXPECT_EQ(checkpoint, "/somewhere/step-3.ds");
  EXPECT_EQ(warning, "take care");
  EXPECT_THAT(cluster.coordinator.log("s", 1, 0), HasSubstr("hello from the script"));
}

TEST(Script, ItsParametersFollowItsArguments) {
  ScriptCluster cluster;
  const auto param = [&](const char* name) {
    cluster.params.emplace_back().set_name(name);
    return &cluster.params.back();
  };
  param("width")->set_integer(-64);
  param("rate")->set_number(0.1 + 0.2);
  param("scale")->set_number(1);
  param("nesterov")->set_flag(true);
  param("amp")->set_flag(false);
  param("act")->set_text("re lu=");
  cluster.run(R"(
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--width", type=int)
parser.add_argument("--rate", type=float)
parser.add_argument("--nesterov", action=argparse.BooleanOptionalAction)
parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--act")
parser.add_argument("--scale")
args = parser.parse_args()
assert vars(args) == {"lr": 0.5, "width": -64, "rate": 0.1 + 0.2, "nesterov": True, "amp": False, "act": "re lu=", "scale": "1.0"}, args
)");
  EXPECT_EQ(cluster.end().exit_code(), 0) << cluster.coordinator.log("s", 1, 0);
}

TEST(Script, AnErrorOfItsOwnIsTheUsers) {
  ScriptCluster cluster;
  cluster.run("tell(error='ValueError: no such column (my-script.py:7)')\nsys.exit(1)\n");
  v1::ExecutorReport end = cluster.end();
  EXPECT_FALSE(end.retryable());
  EXPECT_FALSE(end.stopped());
  EXPECT_EQ(end.failure(), v1::FAILURE_USER_ERROR);
  EXPECT_THAT(end.detail(), HasSubstr("ValueError: no such column (my-script.py:7)"));
}

TEST(Script, TheClassOfItsFailureIsTold) {
  const std::tuple<const char*, v1::FailureClass, const char*> cases[] = {
      {"tell(error='MemoryError', failure='oom')\nsys.exit(1)\n", v1::FAILURE_OOM, "MemoryError"},
      {"tell(error='it diverged', failure='nan')\nsys.exit(1)\n", v1::FAILURE_NAN, "it diverged"},
      {"tell(report={'step': 7, 'loss': 'nan'})\nsys.exit(3)\n", v1::FAILURE_NAN,
       "exited with code 3; its loss was nan at step 7"},
      {"tell(report={'step': 7, 'loss': 'nan', 'test_accuracy': 0.5})\nsys.exit(3)\n", v1::FAILURE_NAN,
       "its loss was nan at step 7"},
      {"tell(report={'step': 7, 'metrics': {'a': 'nan', 'b': 1.0}})\nsys.exit(3)\n", v1::FAILURE_NAN,
       "its a was nan at step 7"},
      {"tell(report={'step': 7, 'test_loss': 'inf'})\nsys.exit(1)\n", v1::FAILURE_NAN,
       "its test_loss was inf at step 7"},
      {"tell(report={'step': 7, 'loss': 'nan'})\ntell(report={'step': 8, 'loss': 1.5})\nsys.exit(1)\n",
       v1::FAILURE_USER_ERROR, "exited with code 1"},
      {"tell(report={'step': 7, 'loss': 'nan'})\ntell(error='no such file', failure='user_error')\nsys.exit(1)\n",
       v1::FAILURE_USER_ERROR, "no such file"}};
  for (const auto& [program, failure, words] : cases) {
    ScriptCluster cluster;
    cluster.run(program);
    const v1::ExecutorReport end = cluster.end();
    EXPECT_EQ(end.failure(), failure) << program;
    EXPECT_FALSE(end.retryable()) << program;
    EXPECT_THAT(end.detail(), HasSubstr(words));
  }
}

TEST(Script, OneThatSaysNothingOfItsEndHasTheLastWordsOfItsLog) {
  constexpr char kParser[] = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr')\n";
  const std::tuple<std::string, const char*> cases[] = {
      {absl::StrCat(kParser, "parser.parse_args(['--widht=3'])\n"),
       "exited with code 2; its log ends with: my-script.py: error: unrecognized arguments: --widht=3"},
      {absl::StrCat(kParser,
                    "try: parser.parse_args(['--widht=3'])\nexcept SystemExit: pass\nraise KeyError('price')\n"),
       "exited with code 1; its log ends with: KeyError: 'price'"},
      {"tell(report={'step': 1, 'loss': 0.5})\nprint('no such column\\n  \\n----', file=sys.stderr)\nsys.exit(3)\n",
       "exited with code 3; its log ends with: no such column"},
      {"tell(report={'step': 1, 'loss': 0.5})\nsys.exit(3)\n", "exited with code 3"},
      {absl::StrCat(kParser, "try: parser.parse_args(['--widht=3'])\nexcept SystemExit: pass\n",
                    "tell(error='its own words')\nsys.exit(2)\n"),
       "its own words"}};
  for (const auto& [program, words] : cases) {
    ScriptCluster cluster;
    cluster.run(program);
    EXPECT_EQ(cluster.end().detail(), absl::StartsWith(words, "exited") ? absl::StrCat("the program ", words) : words);
  }
}

TEST(Script, AFigureThatIsNoNumberIsPartOfItsHistory) {
  ScriptCluster cluster;
  cluster.run("tell(report={'step': 1, 'loss': 'nan'})\ntell(report={'step': 2, 'test_loss': 0.5})\n");
  EXPECT_EQ(cluster.end().exit_code(), 0) << "what it makes of it is its own affair";
  std::vector<v1::MetricRecord> records;
  for (const v1::WorkerMessage& message : cluster.coordinator.messages())
    records.insert(records.end(), message.metrics().records().begin(), message.metrics().records().end());
  ASSERT_EQ(records.size(), 2U);
  EXPECT_TRUE(std::isnan(records[0].loss()));
  EXPECT_EQ(records[1].loss(), 0.5);
  EXPECT_FALSE(records[1].has_accuracy()) << "it said nothing of it";
}

TEST(Script, AnEvaluationHasWhatItReportedAndNoMore) {
  ScriptCluster cluster;
  cluster.run(R"(
tell(report={"step": 1, "test_accuracy": 0.5})
tell(report={"step": 2, "metrics": {"val/f1": 0.25, "bleu": "nan"}})
)");
  EXPECT_EQ(cluster.end().exit_code(), 0);
  std::vector<v1::MetricRecord> records;
  v1::JobMetrics metrics;
  for (const v1::WorkerMessage& message : cluster.coordinator.messages()) {
    records.insert(records.end(), message.metrics().records().begin(), message.metrics().records().end());
    if (message.metrics().has_metrics()) metrics = message.metrics().metrics();
  }
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].kind(), "eval");
  EXPECT_FALSE(records[0].has_loss());
  EXPECT_FALSE(records[1].has_accuracy());
  EXPECT_EQ(records[1].reported().at("val/f1"), 0.25);
  EXPECT_TRUE(std::isnan(records[1].reported().at("bleu")));
  EXPECT_FALSE(metrics.has_loss());
  EXPECT_FALSE(metrics.has_test_loss()) << "a loss of 0 would be the best of all";
  EXPECT_EQ(metrics.test_accuracy(), 0.5);
  EXPECT_EQ(metrics.reported().at("val/f1"), 0.25);
}

TEST(Script, ALostPeerAndASignalAreTriedAgain) {
  for (const char* ending : {"sys.exit(74)\n", "os.kill(os.getpid(), signal.SIGSEGV)\n"}) {
    ScriptCluster cluster;
    cluster.run(ending);
    EXPECT_TRUE(cluster.end().retryable()) << ending;
  }
}

TEST(Script, AStopIsHeardAndHeeded) {
  ScriptCluster cluster;
  cluster.run(R"(
tell(report={"step": 1, "loss": 1.0})
assert hear()["stop"]
tell(checkpoint="/somewhere/step-1.ds", step=1)
sys.exit(75)
)");
  ASSERT_TRUE(cluster.coordinator.wait_step("s", 1));
  cluster.stop_rank("s", 1, 0, true);
  v1::ExecutorReport end = cluster.end();
  EXPECT_TRUE(end.stopped());
}

TEST(Script, StoppingUnaskedIsAnError) {
  ScriptCluster cluster;
  cluster.run("sys.exit(75)\n");
  v1::ExecutorReport end = cluster.end();
  EXPECT_FALSE(end.stopped());
  EXPECT_THAT(end.detail(), HasSubstr("exited with code 75"));
}

TEST(Script, DiesWithItsExecutor) {
  ScriptCluster cluster;
  pid_t executor =
      cluster.run("print('pid', os.getpid())\ntell(report={'step': os.getpid(), 'loss': 1.0})\nsignal.pause()\n");
  pid_t program = 0;
  ASSERT_TRUE(cluster.coordinator.wait([&](const v1::WorkerMessage& m) {
    if (m.has_metrics() && m.metrics().records_size() > 0) program = static_cast<pid_t>(m.metrics().records(0).step());
    return program != 0;
  }));
  ASSERT_TRUE(alive(program));
  kill(executor, SIGKILL);
  EXPECT_TRUE(wait_gone(program, absl::Seconds(5)));
}

TEST(Script, OneThatIsStoppedIsNamed) {
  ScriptCluster cluster;
  cluster.run("tell(report={'step': 1, 'loss': 1.0})\nos.kill(os.getpid(), signal.SIGSTOP)\n");
  v1::ExecutorReport end = cluster.end();
  EXPECT_TRUE(end.retryable());
  EXPECT_THAT(end.detail(), HasSubstr("in state T (stopped)"));
}

TEST(Script, AnInterpreterThatIsNotThereIsNamed) {
  ScriptCluster cluster({"--python", "/nonexistent/python"});
  cluster.run("pass\n");
  EXPECT_THAT(cluster.end().detail(), HasSubstr("cannot run /nonexistent/python"));
}

}  // namespace
}  // namespace ds::worker::testing

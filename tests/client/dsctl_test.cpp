// dsctl against a fake coordinator: outputs, exit codes, retries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/client/fake_coordinator.h"
#include "tests/client/run_dsctl.h"

namespace ds::client {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const char kJob[] = "name: demo\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\nstrategy: {data_parallel: 2}\n";

// Waits for something that happens in another thread or process; false after a long while.
bool eventually(const std::function<bool()>& what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!what()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

v1::Job sample_job(const std::string& id, const std::string& name, v1::JobState state) {
  v1::Job job;
  job.set_id(id);
  job.mutable_spec()->set_name(name);
  job.mutable_spec()->mutable_strategy()->set_data_parallel(2);
  job.mutable_spec()->mutable_train()->set_batch_size(128);
  job.set_state(state);
  job.set_generation(2);
  job.set_restarts(1);
  job.mutable_progress()->set_step(100);
  job.mutable_progress()->set_total_steps(200);
  job.mutable_metrics()->set_loss(0.5);
  job.mutable_metrics()->set_samples_per_second(1000);
  job.mutable_metrics()->set_train_seconds(12.5);
  v1::RankStatus& rank = *job.add_ranks();
  rank.set_worker("worker-1");
  rank.set_device("cpu:0");
  rank.set_pid(42);
  rank.set_state(v1::RANK_RUNNING);
  job.set_created_at_us(1700000000123456);
  return job;
}

class Dsctl : public ::testing::Test {
 protected:
  Outcome run(const std::string& arguments, const std::string& before = "") {
    return run_shell("DS_STATE_DIR=" + folder_.path() + "/state DS_COORDINATOR=" + coordinator_.address(),
                     before + "timeout 60 " DSCTL " " + arguments);
  }
  json run_json(const std::string& arguments) {
    const Outcome outcome = run(arguments + " -o json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }

  TemporaryFolder folder_;
  FakeCoordinator coordinator_;
};

TEST_F(Dsctl, SubmitsAFile) {
  const std::string file = folder_.write("job.yaml", kJob);
  EXPECT_EQ(run_json("job submit " + file), json({{"id", "j-1"}}));
  const v1::Job job = coordinator_.job("j-1");
  EXPECT_EQ(job.spec().name(), "demo");
  EXPECT_EQ(job.spec().train().batch_size(), 128) << "defaults are filled";
  const Outcome piped = run("job submit - --name piped -o name", "cat " + file + " | ");
  EXPECT_EQ(piped.out, "j-2\n") << piped.err;
  EXPECT_EQ(coordinator_.job("j-2").spec().name(), "piped");
}

TEST_F(Dsctl, APathIsSeenFromTheJobFilesFolder) {
  const std::string file =
      folder_.write("job.yaml", "name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist, path: ../idx}\n");
  EXPECT_EQ(run_json("job submit " + file)["id"], "j-1");
  const std::string expected = folder_.path().substr(0, folder_.path().rfind('/')) + "/idx";
  EXPECT_EQ(coordinator_.job("j-1").spec().data().path(), expected);
}

TEST_F(Dsctl, RefusesABadFileWithoutAskingAnybody) {
  const Outcome outcome = run("job submit " + folder_.write("bad.yaml", "name: a\ntrain: {epoch: 1}\n"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("bad.yaml: line 2: train.epoch: unknown key; did you mean train.epochs?"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.yaml: model.family: is missing"));
  EXPECT_EQ(coordinator_.submits(), 0);
  EXPECT_EQ(run("job submit /no/such/file").code, 2);
}

TEST_F(Dsctl, ALostAnswerDoesNotSubmitTwice) {
  coordinator_.lose_answers(3);
  EXPECT_EQ(run_json("job submit " + folder_.write("job.yaml", kJob))["id"], "j-1");
  const std::vector<std::string> keys = coordinator_.keys();
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_EQ(keys[0], keys[3]);
  EXPECT_EQ(run_json("job list").size(), 1u);
}

TEST_F(Dsctl, AKeyOfOnesOwn) {
  const std::string submit = "job submit --key mine " + folder_.write("job.yaml", kJob);
  EXPECT_EQ(run_json(submit), run_json(submit));
}

TEST_F(Dsctl, GetShowsTheWholeJob) {
  coordinator_.put(sample_job("j-7", "demo", v1::RUNNING));
  const json job = run_json("job get j-7");
  EXPECT_EQ(job["id"], "j-7");
  EXPECT_EQ(job["name"], "demo");
  EXPECT_EQ(job["state"], "RUNNING");
  EXPECT_EQ(job["reason"], "");
  EXPECT_EQ(job["generation"], 2);
  EXPECT_EQ(job["restarts"], 1);
  EXPECT_EQ(job["progress"], json({{"step", 100}, {"total_steps", 200}, {"epoch", 0}}));
  EXPECT_EQ(job["metrics"]["loss"], 0.5);
  EXPECT_EQ(job["metrics"]["samples_per_second"], 1000);
  EXPECT_TRUE(job["metrics"]["test_accuracy"].is_null());
  EXPECT_EQ(job["ranks"][0]["rank"], 0);
  EXPECT_EQ(job["ranks"][0]["worker"], "worker-1");
  EXPECT_EQ(job["ranks"][0]["device"], "cpu:0");
  EXPECT_EQ(job["ranks"][0]["pid"], 42);
  EXPECT_EQ(job["ranks"][0]["state"], "RUNNING");
  EXPECT_EQ(job["created_at"], "2023-11-14T22:13:20.123456Z");
  EXPECT_TRUE(job["started_at"].is_null());
  EXPECT_THAT(run("job get j-7").out, HasSubstr("step           100/200\n"));
  EXPECT_THAT(run("job get j-7 -o yaml").out, StartsWith("id: j-7\nname: demo\nstate: RUNNING\n"));
}

TEST_F(Dsctl, FindsAJobByTheBeginningOfItsName) {
  coordinator_.put(sample_job("j-1", "alpha", v1::RUNNING));
  coordinator_.put(sample_job("j-2", "beta-one", v1::RUNNING));
  coordinator_.put(sample_job("j-3", "beta-two", v1::RUNNING));
  EXPECT_EQ(run_json("job get al")["id"], "j-1");
  coordinator_.put(sample_job("j-4", "alpha-two", v1::RUNNING));
  EXPECT_EQ(run_json("job get alpha")["id"], "j-1") << "a whole name before beginnings";
  const Outcome several = run("job get beta");
  EXPECT_EQ(several.code, 5);
  EXPECT_THAT(several.err, HasSubstr("\"beta\" may mean 2 jobs; give an id, such as j-2 (beta-one), j-3 (beta-two)"));
  const Outcome none = run("job get gamma");
  EXPECT_EQ(none.code, 3);
  EXPECT_THAT(none.err, HasSubstr("no job \"gamma\""));
}

TEST_F(Dsctl, ListsAllPages) {
  for (int i = 1; i <= 5; ++i) coordinator_.put(sample_job("j-" + std::to_string(i), "demo", v1::SUCCEEDED));
  EXPECT_EQ(run_json("job list").size(), 5u);
  EXPECT_EQ(run("job list -o name").out, "j-1\nj-2\nj-3\nj-4\nj-5\n");
  EXPECT_THAT(run("job list").out, HasSubstr("j-1  demo  SUCCEEDED  100/200  0.5"));
}

TEST_F(Dsctl, MetricsKeepEveryBit) {
  v1::MetricRecord train, eval;
  train.set_kind("train");
  train.set_step(1);
  train.set_time(1700000000.25);
  train.set_loss(0.1 + 0.2);
  train.set_samples_per_second(1e5 / 3);
  train.set_sample_hash(18446744073709551615u);
  eval.set_kind("eval");
  eval.set_step(2);
  eval.set_accuracy(0.89);
  coordinator_.put(sample_job("j-1", "demo", v1::RUNNING));
  coordinator_.history["j-1"] = {train, eval};
  const json records = run_json("job metrics j-1");
  EXPECT_EQ(records[0]["loss"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(records[0]["samples_per_second"].get<double>(), 1e5 / 3);
  EXPECT_EQ(records[0]["sample_hash"], "18446744073709551615");
  EXPECT_EQ(records[1]["kind"], "eval");
  EXPECT_EQ(records[1]["test_accuracy"], 0.89);
  EXPECT_TRUE(records[1]["loss"].is_null()) << "0 would be a loss";
}

TEST_F(Dsctl, AScriptsParametersAndItsOwnMetricsAreShown) {
  v1::Job job = sample_job("j-1", "demo", v1::RUNNING);
  v1::ModelSpec& model = *job.mutable_spec()->mutable_model();
  model.Clear();
  model.set_script("sha256:" + std::string(64, 'a'));
  model.add_args("--epochs");
  v1::ScriptParam& rate = *model.add_params();
  rate.set_name("lr");
  rate.set_number(1);
  v1::ScriptParam& act = *model.add_params();
  act.set_name("act");
  act.set_text("relu");
  job.mutable_metrics()->clear_loss();
  (*job.mutable_metrics()->mutable_reported())["val/f1"] = 0.25;
  coordinator_.put(job);
  v1::MetricRecord eval;
  eval.set_kind("eval");
  (*eval.mutable_reported())["val/f1"] = 0.25;
  coordinator_.history["j-1"] = {eval};
  const json shown = run_json("job get j-1");
  EXPECT_TRUE(shown["metrics"]["loss"].is_null());
  EXPECT_EQ(shown["metrics"]["reported"], json({{"val/f1", 0.25}}));
  EXPECT_EQ(shown["spec"]["model"]["params"], json({{"lr", 1.0}, {"act", "relu"}}));
  EXPECT_THAT(run("job get j-1").out,
              AllOf(HasSubstr("script sha256:aaaaaaaaaaaa --epochs lr=1.0 act=relu"), HasSubstr("val/f1 0.25")));
  EXPECT_EQ(run_json("job metrics j-1")[0]["reported"], json({{"val/f1", 0.25}}));
  EXPECT_THAT(run("job metrics j-1").out, HasSubstr("val/f1 0.25"));
}

TEST_F(Dsctl, WaitTellsHowTheJobEnded) {
  const std::string submit = "job submit --wait -o json " + folder_.write("job.yaml", kJob);
  const auto end_with = [&](const std::string& id, v1::JobState state) {
    ASSERT_TRUE(eventually([&] { return coordinator_.job(id).id() == id; }));
    coordinator_.put(sample_job(id, "demo", v1::RUNNING));
    coordinator_.put(sample_job(id, "demo", state));
  };
  std::thread first([&] { end_with("j-1", v1::SUCCEEDED); });
  const Outcome good = run(submit);
  first.join();
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(json::parse(good.out, nullptr, false)["state"], "SUCCEEDED") << "only the document on stdout: " << good.out;
  EXPECT_THAT(good.err, HasSubstr("j-1 SUCCEEDED step 100/200"));
  std::thread second([&] { end_with("j-2", v1::FAILED); });
  EXPECT_EQ(run(submit).code, 1);
  second.join();
  EXPECT_EQ(run("job watch j-1").code, 0);
  EXPECT_EQ(run("job watch j-2").code, 1);
}

TEST_F(Dsctl, WaitGivesUpInTime) {
  coordinator_.put(sample_job("j-1", "demo", v1::RUNNING));
  EXPECT_EQ(run("job watch j-1 --timeout 0.3").code, 124);
}

TEST_F(Dsctl, WatchSurvivesACoordinatorRestart) {
  coordinator_.put(sample_job("j-1", "demo", v1::RUNNING));
  Outcome outcome;
  std::thread watching([&] { outcome = run("job watch j-1 -o json"); });
  EXPECT_TRUE(eventually([&] { return coordinator_.watchers() == 1; }));
  coordinator_.stop();
  coordinator_.restart();
  EXPECT_TRUE(eventually([&] { return coordinator_.watchers() >= 2; }));
  coordinator_.put(sample_job("j-1", "demo", v1::SUCCEEDED));
  watching.join();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("the job goes on, trying again"));
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2) << "no change twice: " << outcome.out;
}

TEST_F(Dsctl, PrintsLogs) {
  v1::LogChunk one, two;
  one.set_text("first\n");
  two.set_rank(1);
  two.set_text("second\n");
  coordinator_.put(sample_job("j-1", "demo", v1::SUCCEEDED));
  coordinator_.log["j-1"] = {one, two};
  EXPECT_EQ(run("job logs j-1").out, "first\nsecond\n");
  EXPECT_THAT(run("job logs -f j-1 -o json").out, HasSubstr("{\"rank\":1,\"generation\":0,\"text\":\"second\\n\"}\n"));
}

TEST_F(Dsctl, ResultIsOneLine) {
  v1::Job job = sample_job("j-1", "demo", v1::SUCCEEDED);
  job.mutable_metrics()->set_test_accuracy(0.8912);
  coordinator_.put(job);
  EXPECT_EQ(run("job result j-1").out,
            "RESULT {\"job\": \"j-1\", \"state\": \"SUCCEEDED\", \"test_accuracy\": 0.8912, \"train_seconds\": 12.5, "
            "\"ranks\": 2}\n");
}

TEST_F(Dsctl, ChangesAndConflicts) {
  coordinator_.put(sample_job("j-1", "demo", v1::RUNNING));
  EXPECT_EQ(run_json("job cancel j-1")["state"], "CANCELLED");
  const Outcome conflict = run("job pause j-1");
  EXPECT_EQ(conflict.code, 5);
  EXPECT_EQ(conflict.err, "dsctl: job j-1 is SUCCEEDED and cannot be paused\n");
}

TEST_F(Dsctl, Workers) {
  const json workers = run_json("worker list");
  EXPECT_EQ(workers[0]["name"], "worker-1");
  EXPECT_EQ(workers[0]["state"], "READY");
  EXPECT_EQ(workers[0]["labels"]["rack"], "b");
  EXPECT_THAT(run("worker list").out, HasSubstr("worker-1  READY  4      3"));
  EXPECT_EQ(run_json("worker drain worker-1")["state"], "DRAINING");
  EXPECT_EQ(run("worker drain nobody").code, 3);
  EXPECT_EQ(run_json("worker undrain worker-1")["state"], "READY");
  EXPECT_EQ(run_json("worker remove worker-1")["lost_since"], "2023-11-14T22:13:20.000000Z");
}

TEST_F(Dsctl, SaysThatNobodyIsThere) {
  coordinator_.stop();
  const Outcome outcome = run("job list --retry 0.2");
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("no coordinator at " + coordinator_.address()));
  EXPECT_THAT(outcome.err, HasSubstr("dsctl cluster up"));
  coordinator_.restart();
}

TEST_F(Dsctl, UsageErrors) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("job").code, 2);
  EXPECT_EQ(run("job get").code, 2);
  EXPECT_EQ(run("job list -o xml").code, 2);
  const auto says = [&](const std::string& arguments) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    return outcome.err;
  };
  EXPECT_THAT(
      says("jbo list"),
      HasSubstr("no command \"jbo\" of dsctl, did you mean job?; there are job, tune, worker, artifact, cluster"));
  EXPECT_THAT(says("-o json job lst"),
              HasSubstr("no command \"lst\" of dsctl job, did you mean list?; there are submit"));
  EXPECT_THAT(says("worker"), HasSubstr("dsctl worker needs a command: list, drain"));
  EXPECT_THAT(says("job list -o xml"), HasSubstr("\"xml\" is not one of table, json, yaml, name"));
  for (const char* address : {"foo", "foo:bar", ":1", "host:0", "host:65536", "http://host:1"})
    EXPECT_THAT(says(std::string("job list --coordinator ") + address),
                HasSubstr(std::string("\"") + address + "\" is no address of a coordinator: HOST:PORT"));
  EXPECT_EQ(run("job watch x", "export DS_COORDINATOR=nonsense; ").code, 2);
  EXPECT_EQ(run("--help").code, 0);
}

}  // namespace
}  // namespace ds::client

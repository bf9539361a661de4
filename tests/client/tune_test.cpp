// dsctl tune against a fake coordinator, and what is drawn and printed of a study.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/client.h"
#include "client/study_documents.h"
#include "client/study_plots.h"
#include "client/study_progress.h"
#include "client/svg.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_spec.h"
#include "tests/client/fake_coordinator.h"
#include "tests/client/run_dsctl.h"

namespace ds::client {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const char kStudy[] = R"(name: demo
model: {family: mlp, hidden: [64]}
data: {dataset: fashion_mnist}
search:
  train.optimizer.lr: {log: [1e-5, 1e-1]}
  model.hidden: {choice: [64, [128, 64]]}
  train.optimizer.name: {choice: [sgd, adamw]}
  train.optimizer.momentum: {float: [0, 0.99], when: {train.optimizer.name: sgd}}
objective: {maximize: test_accuracy}
budget: {trials: 8, parallel: 2, max_epochs: 3}
)";

bool eventually(const std::function<bool()>& what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!what()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

v1::Trial trial(int64_t id, v1::TrialState state, double value, const std::string& optimizer = "adamw") {
  v1::Trial t;
  t.set_id(id);
  t.set_state(state);
  t.set_source("sobol");
  t.set_job("j-" + std::to_string(id + 1));
  (*t.mutable_params())["train.optimizer.lr"] = "0.0010000000000000002";
  (*t.mutable_params())["model.hidden"] = id % 2 == 0 ? "[64]" : "[128, 64]";
  (*t.mutable_params())["train.optimizer.name"] = optimizer;
  if (optimizer == "sgd") (*t.mutable_params())["train.optimizer.momentum"] = "0.5";
  t.set_started_at_us(1700000000000000 + id * 1000000);
  if (state == v1::TRIAL_RUNNING) return t;
  t.set_finished_at_us(t.started_at_us() + 10000000);
  t.set_params_count(id % 2 == 0 ? 50890 : 109386);
  if (state == v1::TRIAL_FAILED) {
    t.set_failure(v1::FAILURE_NAN);
    t.set_reason("loss is nan at step 12");
    return t;
  }
  t.add_values(value);
  v1::TrialReport& report = *t.add_reports();
  report.set_step(3);
  report.add_values(value);
  return t;
}

v1::Study sample_study() {
  v1::Study study;
  study.set_id("s-1");
  *study.mutable_spec() = *spec::parse_study(kStudy);
  study.set_state(v1::STUDY_RUNNING);
  study.set_trials_finished(4);
  study.set_trials_failed(1);
  study.set_trials_running(1);
  study.set_epochs(13);
  study.set_epochs_saved(2);
  v1::Recommendation& best = *study.mutable_best();
  best.set_trial(3);
  best.set_mean(0.885);
  best.set_low(0.88);
  best.set_high(0.89);
  best.set_best_observed(2);
  best.set_best_value(0.9);
  study.set_created_at_us(1700000000000000);
  return study;
}

Trials sample_trials() {
  return {trial(0, v1::TRIAL_FINISHED, 0.8),        trial(1, v1::TRIAL_FAILED, 0),
          trial(2, v1::TRIAL_FINISHED, 0.9, "sgd"), trial(3, v1::TRIAL_FINISHED, 0.89),
          trial(4, v1::TRIAL_STOPPED, 0.3),         trial(5, v1::TRIAL_RUNNING, 0)};
}

// The same trials, by accuracy and size: 3 and 0 are the front, and what was stopped is not of it.
v1::Study sample_front() {
  v1::Study study = sample_study();
  v1::ObjectiveSpec& size = *study.mutable_spec()->add_objectives();
  size.set_metric("params");
  study.clear_best();
  study.mutable_best()->set_trial(3);
  for (const auto& [id, accuracy, params] : {std::tuple(3, 0.885, 109386.0), {2, 0.88, 50890.0}}) {
    v1::FrontTrial& one = *study.mutable_best()->add_front();
    one.set_trial(id);
    one.add_means(accuracy);
    one.add_means(params);
  }
  return study;
}

Trials sample_front_trials() {
  Trials trials = sample_trials();
  for (v1::Trial& t : trials)
    if (t.values_size() > 0) t.add_values(t.params_count());
  return trials;
}

class Tune : public ::testing::Test {
 protected:
  Outcome run(const std::string& arguments, const std::string& before = "") {
    return run_shell("DS_STATE_DIR=" + folder_.path() + "/state DS_COORDINATOR=" + coordinator_.address(),
                     before + "timeout 60 " DSCTL " tune --retry 30 " + arguments);  // patient: a loaded machine
  }
  json run_json(const std::string& arguments) {
    const Outcome outcome = run(arguments + " -o json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }
  void put_sample() { coordinator_.tuner.put(sample_study(), sample_trials()); }

  TemporaryFolder folder_;
  FakeCoordinator coordinator_;
};

TEST_F(Tune, SubmitsAFile) {
  const std::string file = folder_.write("study.yaml", kStudy);
  EXPECT_EQ(run_json("submit " + file), json({{"id", "s-1"}}));
  const v1::StudySpec spec = coordinator_.tuner.study("s-1").spec();
  EXPECT_EQ(spec.name(), "demo");
  EXPECT_EQ(spec.search_size(), 4);
  EXPECT_EQ(spec.job().train().epochs(), 3);
  EXPECT_TRUE(spec::validate(spec).ok()) << "as the coordinator takes it";
  EXPECT_EQ(run("submit - --name piped -o name", "cat " + file + " | ").out, "s-2\n");
  EXPECT_EQ(coordinator_.tuner.study("s-2").spec().job().name(), "piped");
  const std::string keyed = "submit --key mine " + file;
  EXPECT_EQ(run_json(keyed), run_json(keyed));
}

TEST_F(Tune, RefusesABadFileWithoutAskingAnybody) {
  const Outcome outcome = run(
      "submit " + folder_.write("bad.yaml", "name: a\nmodel: {family: mlp}\nsearch: {model.dept: {int: [1, 2]}}\n"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              HasSubstr("bad.yaml: line 3: search.model.dept: no key of the job file; did you mean model.depth?"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.yaml: objective: is missing"));
  EXPECT_EQ(coordinator_.tuner.study("s-1").id(), "");
  EXPECT_THAT(run("submit /no/such/file").err, HasSubstr("cannot read the study file /no/such/file"));
}

TEST_F(Tune, GetAndListShowTheStudy) {
  put_sample();
  v1::Study other = sample_study();
  other.set_id("s-2");
  other.mutable_spec()->set_name("other");
  coordinator_.tuner.put(other, {});
  const json study = run_json("get demo");
  EXPECT_EQ(study["id"], "s-1");
  EXPECT_EQ(study["state"], "RUNNING");
  EXPECT_EQ(study["trials_finished"], 4);
  EXPECT_EQ(study["best"]["trial"], 3);
  EXPECT_EQ(study["best"]["best_value"], 0.9);
  EXPECT_EQ(study["epochs_saved"], 2);
  EXPECT_EQ(study["finished_at"], nullptr);
  EXPECT_EQ(study["spec"]["search"]["model.hidden"]["choice"], json({{64}, {128, 64}}));
  EXPECT_EQ(run_json("list").size(), 2u) << "of all pages";
  EXPECT_EQ(run("list -o name").out, "s-1\ns-2\n");
  EXPECT_THAT(run("get s-1").out, HasSubstr("trial 3: 0.885 [0.88, 0.89]"));
  EXPECT_THAT(run("get s-1").out, Not(HasSubstr("about 2")));
  other.mutable_spec()->mutable_budget()->clear_max_epochs();
  coordinator_.tuner.put(other, {});
  EXPECT_THAT(run("get s-2").out, HasSubstr("about 2"));
  EXPECT_EQ(run("get none").code, 3);
  EXPECT_EQ(run("get s-").code, 5) << "means both";
}

TEST_F(Tune, TrialsAreATableJsonAndCsv) {
  put_sample();
  const json trials = run_json("trials s-1");
  ASSERT_EQ(trials.size(), 6u);
  EXPECT_EQ(
      trials[0]["params"],
      json({{"model.hidden", {64}}, {"train.optimizer.lr", 0.0010000000000000002}, {"train.optimizer.name", "adamw"}}));
  EXPECT_EQ(trials[1]["failure"], "nan");
  EXPECT_EQ(trials[1]["value"], nullptr);
  EXPECT_EQ(trials[4]["state"], "STOPPED");
  EXPECT_EQ(trials[0]["reports"], json({{{"step", 3}, {"value", 0.8}}}));
  EXPECT_EQ(run("trials s-1 -o name").out, "0\n1\n2\n3\n4\n5\n");
  const std::string table = run("trials s-1").out;
  EXPECT_THAT(table, HasSubstr("TEST_ACCURACY"));
  EXPECT_THAT(table, HasSubstr("FAILED nan"));
  const std::vector<std::string> csv = absl::StrSplit(run("export s-1 --csv").out, '\n');
  EXPECT_EQ(csv[0],
            "trial,state,test_accuracy,failure,epochs,seconds,source,job,params_count,flops,train.optimizer.lr,"
            "model.hidden,train.optimizer.name,train.optimizer.momentum");
  EXPECT_EQ(csv[1], "0,FINISHED,0.80000000000000004,,3,10.000000,sobol,j-1,50890,0,0.0010000000000000002,[64],adamw,");
  EXPECT_THAT(csv[2], HasSubstr(",\"[128, 64]\","));
  EXPECT_EQ(csv.size(), 8u);
  EXPECT_EQ(run("export s-1").code, 2);
}

// What a text, a number and a flag of a script look like is no guess at their letters.
TEST_F(Tune, AParameterHasTheTypeThatTheSpaceGivesIt) {
  v1::Study study = sample_study();
  *study.mutable_spec() = *spec::parse_study(absl::StrReplaceAll(R"(
name: demo
model: {script: DIGEST, params: {act: relu, flag: "true", scale: 1.0, width: 32, nesterov: true}}
search:
  model.params.act: {choice: [relu, "1", "true", "[1]"]}
  model.params.flag: {choice: ["true", "false"]}
  model.params.scale: {choice: [1, 2.5]}
  model.params.width: {int: [1, 64]}
  model.params.nesterov: {choice: [true, false]}
objective: {maximize: test_accuracy}
)",
                                                                 {{"DIGEST", "sha256:" + std::string(64, 'a')}}));
  Trials trials;
  for (const char* act : {"1", "true", "[1]"}) {
    v1::Trial& t = trials.emplace_back(trial(static_cast<int64_t>(trials.size()), v1::TRIAL_FINISHED, 0.5));
    t.clear_params();
    for (const auto& [name, value] :
         {std::pair("act", act), {"flag", "true"}, {"scale", "1"}, {"width", "16"}, {"nesterov", "false"}})
      (*t.mutable_params())[std::string("model.params.") + name] = value;
  }
  study.mutable_best()->set_trial(1);
  coordinator_.tuner.put(study, trials);
  const json shown = run_json("trials s-1");
  ASSERT_EQ(shown.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    const json& params = shown[k]["params"];
    EXPECT_EQ(params["model.params.act"], json(std::vector{"1", "true", "[1]"}[k]));
    EXPECT_EQ(params["model.params.flag"], json("true"));
    EXPECT_TRUE(params["model.params.scale"].is_number_float()) << params;
    EXPECT_EQ(params["model.params.width"], json(16));
    EXPECT_EQ(params["model.params.nesterov"], json(false));
  }
  EXPECT_EQ(run_json("best s-1")["params"], shown[1]["params"]);
  EXPECT_EQ(run_json("get s-1")["spec"]["search"]["model.params.act"]["choice"], json({"relu", "1", "true", "[1]"}));
}

TEST_F(Tune, BestIsAJobFileThatCanBeSubmitted) {
  put_sample();
  const json best = run_json("best s-1");
  EXPECT_EQ(best["trial"], 3);
  EXPECT_EQ(best["mean"], 0.885);
  EXPECT_EQ(best["params"]["train.optimizer.name"], "adamw");
  EXPECT_EQ(best["job"]["model"]["hidden"], json({128, 64}));
  const Outcome yaml = run("best s-1 -o yaml");
  const auto job = spec::parse_job(yaml.out);
  ASSERT_TRUE(job.ok()) << job.status() << yaml.out;
  EXPECT_EQ(job->train().optimizer().lr(), 0.0010000000000000002);
  EXPECT_EQ(job->train().epochs(), 3);
  EXPECT_THAT(yaml.out, StartsWith("# study s-1, trial 3: test_accuracy 0.885, 95 % within [0.88, 0.89]\n"));
  EXPECT_THAT(run("best s-1").out, HasSubstr("0.885, 95 % within [0.88, 0.89]"));
  v1::Study young = sample_study();
  young.clear_best();
  coordinator_.tuner.put(young, {});
  EXPECT_EQ(run("best s-1").code, 5);
}

TEST_F(Tune, OfTwoObjectivesBestIsTheFront) {
  coordinator_.tuner.put(sample_front(), sample_front_trials());
  const json study = run_json("get s-1");
  EXPECT_EQ(study["spec"]["objective"], json({{{"maximize", "test_accuracy"}}, {{"minimize", "params"}}}));
  EXPECT_EQ(study["best"]["front"][1], json({{"trial", 2}, {"means", {{"test_accuracy", 0.88}, {"params", 50890}}}}));
  EXPECT_THAT(run("get s-1").out, HasSubstr("maximize test_accuracy, minimize params"));
  EXPECT_THAT(run("list").out, HasSubstr("trial 3, the knee of a front of 2"));
  const std::vector<std::string> table = absl::StrSplit(run("best s-1").out, '\n', absl::SkipEmpty());
  ASSERT_EQ(table.size(), 3u);
  EXPECT_THAT(table[0], ::testing::AllOf(HasSubstr("TEST_ACCURACY"), HasSubstr("PARAMS"), HasSubstr("HIDDEN")));
  EXPECT_THAT(table[1], ::testing::AllOf(StartsWith("3 "), HasSubstr("0.885"), HasSubstr("109386"), HasSubstr("knee")));
  EXPECT_THAT(table[2], ::testing::AllOf(StartsWith("2 "), HasSubstr("50890"), Not(HasSubstr("knee"))));
  const json best = run_json("best s-1");
  EXPECT_EQ(best["trial"], 3);
  EXPECT_EQ(best["front"].size(), 2u);
  EXPECT_EQ(best["values"], json({{"test_accuracy", 0.89}, {"params", 109386}})) << "as it was measured";
  EXPECT_THAT(
      run("best s-1 -o yaml").out,
      StartsWith("# study s-1, trial 3: test_accuracy 0.89, params 109386; the knee of a front of 2, for another: "
                 "--trial N\n"));
}

TEST_F(Tune, AnyTrialIsAJobFile) {
  coordinator_.tuner.put(sample_front(), sample_front_trials());
  const Outcome yaml = run("best s-1 --trial 2 -o yaml");
  EXPECT_THAT(yaml.out, StartsWith("# study s-1, trial 2: test_accuracy 0.9, params 50890\n"));
  const auto job = spec::parse_job(yaml.out);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->train().optimizer().name(), "sgd");
  EXPECT_EQ(run_json("best s-1 --trial 1")["values"], json::object()) << "it failed";
  const Outcome none = run("best s-1 --trial 17");
  EXPECT_EQ(none.code, 3);
  EXPECT_THAT(none.err, HasSubstr("study s-1 has no trial 17; it has 6"));
}

TEST_F(Tune, TwoObjectivesAreTwoColumns) {
  coordinator_.tuner.put(sample_front(), sample_front_trials());
  EXPECT_EQ(run_json("trials s-1")[0]["values"], json({{"test_accuracy", 0.8}, {"params", 50890}}));
  EXPECT_EQ(run_json("trials s-1")[0]["value"], nullptr);
  const std::string table = run("trials s-1").out;
  EXPECT_EQ(table.find("PARAMS"), table.rfind("PARAMS")) << "once";
  const std::vector<std::string> csv = absl::StrSplit(run("export s-1 --csv").out, '\n');
  EXPECT_THAT(csv[0], StartsWith("trial,state,test_accuracy,params,failure,"));
  EXPECT_THAT(csv[1], StartsWith("0,FINISHED,0.80000000000000004,50890,,"));
  EXPECT_THAT(csv[2], StartsWith("1,FAILED,,,nan,"));
}

TEST_F(Tune, ChangesAndImportance) {
  put_sample();
  coordinator_.tuner.importance.resize(1);
  coordinator_.tuner.importance[0].set_key("train.optimizer.lr");
  coordinator_.tuner.importance[0].set_main(0.6);
  coordinator_.tuner.importance[0].set_total(0.75);
  EXPECT_EQ(run_json("importance s-1"), json({{{"key", "train.optimizer.lr"}, {"main", 0.6}, {"total", 0.75}}}));
  EXPECT_EQ(run_json("pause s-1")["state"], "PAUSED");
  EXPECT_EQ(run_json("resume s-1")["state"], "RUNNING");
  EXPECT_EQ(run_json("cancel s-1")["state"], "CANCELLED");
  EXPECT_EQ(run("pause s-1").code, 5);
}

TEST_F(Tune, WatchPrintsALineATrialAndTellsHowItEnded) {
  put_sample();
  Outcome watched;
  std::thread watcher([&] { watched = run("watch s-1"); });
  ASSERT_TRUE(eventually([&] { return coordinator_.tuner.watchers() == 1; }));
  v1::Study study = sample_study();
  study.set_trials_finished(5);
  study.set_state(v1::STUDY_SUCCEEDED);
  coordinator_.tuner.put(study, {trial(5, v1::TRIAL_FINISHED, 0.7)});
  watcher.join();
  EXPECT_EQ(watched.code, 0) << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("s-1 trial 1 FAILED nan (loss is nan at step 12), best 0.9 of trial 2, 5/8"));
  EXPECT_THAT(watched.out, HasSubstr("s-1 trial 5 FINISHED test_accuracy 0.7, best 0.9 of trial 2, 6/8\n"));
  EXPECT_THAT(watched.out, HasSubstr("s-1 SUCCEEDED\n"));
  const std::vector<std::string> lines = absl::StrSplit(watched.out, '\n');
  EXPECT_EQ(
      std::count_if(lines.begin(), lines.end(), [](const std::string& l) { return l.find("trial 2 F") != l.npos; }), 1);
}

TEST_F(Tune, ALostCoordinatorDoesNotEndAWatch) {
  put_sample();
  Outcome watched;
  std::thread watcher([&] { watched = run("watch s-1"); });
  ASSERT_TRUE(eventually([&] { return coordinator_.tuner.watchers() == 1; }));
  coordinator_.stop();
  coordinator_.restart();
  ASSERT_TRUE(eventually([&] { return coordinator_.tuner.watchers() == 2; }));
  v1::Study study = sample_study();
  study.set_state(v1::STUDY_FAILED);
  study.set_reason("all trials failed");
  coordinator_.tuner.put(study, {});
  watcher.join();
  EXPECT_EQ(watched.code, 1);
  EXPECT_THAT(watched.out, HasSubstr("the study goes on, trying again"));
  EXPECT_THAT(watched.out, HasSubstr("s-1 FAILED: all trials failed"));
}

TEST_F(Tune, WaitShowsTheStudyAtItsEnd) {
  const std::string file = folder_.write("study.yaml", kStudy);
  Outcome waited;
  std::thread waiter([&] { waited = run("submit --wait -o json " + file); });
  ASSERT_TRUE(eventually([&] { return coordinator_.tuner.watchers() == 1; }));
  v1::Study study = sample_study();
  study.set_state(v1::STUDY_CANCELLED);
  coordinator_.tuner.put(study, {});
  waiter.join();
  EXPECT_EQ(waited.code, 1);
  EXPECT_EQ(json::parse(waited.out, nullptr, false)["state"], "CANCELLED");
}

TEST_F(Tune, PlotsAreXml) {
  put_sample();
  for (const std::string& kind : plot_kinds()) {
    const std::string file = folder_.path() + "/" + kind + ".svg";
    const Outcome outcome = run("plot s-1 --svg " + file + " --kind " + kind);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const Outcome parsed = run_shell("LC_ALL=C",
                                     "python3 -c 'import sys, xml.dom.minidom; "
                                     "print(xml.dom.minidom.parse(sys.argv[1]).documentElement.tagName)' " +
                                         file);
    EXPECT_EQ(parsed.out, "svg\n") << kind << parsed.err;
  }
  EXPECT_THAT(run("plot s-1 --svg -").out, StartsWith("<svg "));
  EXPECT_EQ(run("plot s-1 --svg - --kind pie").code, 2);
  const Outcome nowhere = run("plot s-1 --svg /no/such/folder/a.svg");
  EXPECT_EQ(nowhere.code, 6);
  EXPECT_THAT(nowhere.err, HasSubstr("cannot write /no/such/folder/a.svg: No such file or directory"));
}

int count(const std::string& text, const std::string& what) {
  int n = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Plots, HaveAMarkForEachTrial) {
  const std::string history = *plot_study(sample_study(), sample_trials(), "history");
  EXPECT_EQ(count(history, "<title>trial"), 5) << "all that have ended";
  EXPECT_THAT(history,
              HasSubstr("<title>trial 2: 0.9; lr 0.0010000000000000002, hidden [64], name sgd, momentum 0.5</title>"));
  EXPECT_THAT(history, HasSubstr("<title>trial 1: nan; "));
  EXPECT_EQ(count(*plot_study(sample_study(), sample_trials(), "parallel"), "<polyline"), 4);
  EXPECT_EQ(count(*plot_study(sample_study(), sample_trials(), "slice"), "<title>trial"), 4 * 3 + 1)
      << "momentum has one";
  EXPECT_EQ(count(*plot_study(sample_study(), sample_trials(), "pareto"), "<title>trial"), 4);
}

TEST(Plots, TheFrontOfTwoObjectivesIsAStaircase) {
  const auto at = [](const std::string& picture, const std::string& trial) {
    const size_t title = picture.find("<title>trial " + trial);
    return picture.rfind("cx=\"", title);
  };
  for (const std::string& kind : plot_kinds())
    EXPECT_EQ(count(*plot_study(sample_front(), sample_front_trials(), kind), "nan;"), kind == "history") << kind;
  const std::string picture = *plot_study(sample_front(), sample_front_trials(), "pareto");
  EXPECT_THAT(picture, HasSubstr("test_accuracy over params"));
  EXPECT_EQ(count(picture, "<title>trial"), 4);
  EXPECT_THAT(picture, HasSubstr("<title>trial 2: test_accuracy 0.9, params 50890; "));
  EXPECT_LT(at(picture, "2"), picture.size());
  v1::Study fast = sample_front();  // and where more is better on the axis along
  fast.mutable_spec()->mutable_objectives(1)->set_metric("samples_per_second");
  fast.mutable_spec()->mutable_objectives(1)->set_maximize(true);
  const std::string other = *plot_study(fast, sample_front_trials(), "pareto");
  EXPECT_THAT(other, HasSubstr("test_accuracy over samples_per_second"));
  EXPECT_NE(picture.substr(picture.find("<polyline")), other.substr(other.find("<polyline")));
}

TEST(Plots, OfNothingAreRefused) {
  EXPECT_EQ(plot_study(sample_study(), {}, "history").status().code(), absl::StatusCode::kFailedPrecondition);
  Trials unsized = sample_trials();
  for (v1::Trial& t : unsized) t.clear_params_count();
  EXPECT_THAT(std::string(plot_study(sample_study(), unsized, "pareto").status().message()), HasSubstr("not known"));
  EXPECT_EQ(plot_study(sample_study(), sample_trials(), "pie").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Plots, OneTrialAndEqualValuesHaveAPlace) {
  for (const std::string& kind : plot_kinds()) {
    const std::string one = *plot_study(sample_study(), {trial(0, v1::TRIAL_FINISHED, 0.5)}, kind);
    EXPECT_THAT(one, Not(HasSubstr("nan"))) << kind;
    EXPECT_THAT(one, Not(HasSubstr("inf"))) << kind;
  }
}

TEST(Plots, AHopelessTrialDoesNotPressTheOthersIntoALine) {
  Trials trials;
  for (int i = 0; i < 8; ++i) trials.push_back(trial(i, v1::TRIAL_FINISHED, 0.80 + 0.01 * i));
  EXPECT_THAT(*plot_study(sample_study(), trials, "history"), HasSubstr("8 trials with a value, 0 failed</text>"));
  trials[3].set_values(0, -1e6);
  const std::string picture = *plot_study(sample_study(), trials, "history");
  EXPECT_THAT(picture, HasSubstr("1 worse than the axis, at its end"));
  EXPECT_THAT(picture, HasSubstr(">0.82</text>")) << "a tick of the axis";
}

TEST(Plots, AnEndOfTheFrontIsShownAtItsPlace) {
  v1::Study study = sample_front();
  Trials trials;
  for (int i = 0; i < 8; ++i) {
    trials.push_back(trial(i, v1::TRIAL_FINISHED, i == 2 ? 0.3 : 0.80 + 0.01 * i));  // 2 is the smallest
    trials.back().add_values(50000 + 1000 * std::abs(i - 2));
  }
  EXPECT_THAT(*plot_study(study, trials, "pareto"), HasSubstr("8 trials with a value, 0 failed</text>"));
  study.mutable_best()->mutable_front()->RemoveLast();
  EXPECT_THAT(*plot_study(study, trials, "pareto"), HasSubstr("1 worse than the axis, at its end"));
}

TEST(SvgText, IsEscaped) {
  Svg svg(10, 10);
  svg.text(0, 0, "a<b> & \"c\"\n");
  EXPECT_THAT(svg.str(), HasSubstr("a&lt;b&gt; &amp; &quot;c&quot; </text>"));
  EXPECT_EQ(blend("#000000", "#ffffff", 0.5), "#808080");
}

TEST(StudyLines, TheIncumbentNeverGetsWorse) {
  v1::StudySpec spec = sample_study().spec();
  Trials trials = sample_trials();
  trials[0].set_finished_at_us(trials[2].finished_at_us() + 1);  // ends after trial 2, before trial 3
  EXPECT_THAT(incumbents(spec, trials), ElementsAre(0.9, 0.9, 0.9, 0.9));
  EXPECT_THAT(incumbents(spec, sample_trials()), ElementsAre(0.8, 0.9, 0.9, 0.9));
  spec.mutable_objectives(0)->set_maximize(false);
  EXPECT_THAT(incumbents(spec, sample_trials()), ElementsAre(0.8, 0.8, 0.8, 0.3));
}

TEST(StudyLines, TellTheFront) {
  EXPECT_THAT(study_screen(sample_front(), sample_front_trials(), 200, 30),
              HasSubstr("front of 2: test_accuracy 0.885 to 0.88, params 109386 to 50890  knee: trial 3, "
                        "test_accuracy 0.885, params 109386"));
  EXPECT_THAT(trial_line(sample_front(), sample_front_trials(), sample_front_trials()[2]),
              HasSubstr("trial 2 FINISHED test_accuracy 0.9, params 50890, front of 2, 5/8"));
}

TEST(StudyLines, Sparkline) {
  EXPECT_EQ(sparkline({0, 0.5, 1}, true, 40), "▁▅█");
  EXPECT_EQ(sparkline({1, 0.5, 0}, false, 40), "▁▅█") << "the best is highest";
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7, 8}, true, 3), "▁▅█");
  EXPECT_EQ(sparkline({2, 2}, false, 9), "██");
  EXPECT_EQ(sparkline({}, true, 9), "");
}

TEST(StudyLines, TheRestTakesAsLongAsWhatHasEnded) {
  // Five trials of 10 s have ended; 3 are left, 2 at once.
  EXPECT_DOUBLE_EQ(seconds_left(sample_study(), sample_trials()), 15);
  EXPECT_LT(seconds_left(sample_study(), {}), 0);
}

TEST(StudyLines, AScreenFitsItsTerminal) {
  for (const int columns : {40, 80, 200}) {
    const std::string screen = study_screen(sample_study(), sample_trials(), columns, 10);
    const std::vector<std::string> lines = absl::StrSplit(screen, '\n', absl::SkipEmpty());
    EXPECT_LE(lines.size(), 9u);
    for (const std::string& line : lines) {
      const auto wide = std::count_if(line.begin(), line.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
      EXPECT_LT(wide, columns);
    }
    EXPECT_THAT(lines[0], HasSubstr("demo (s-1) RUNNING  5/8 trials"));
  }
  const std::string screen = study_screen(sample_study(), sample_trials(), 200, 30);
  EXPECT_THAT(screen, HasSubstr("13 epochs, 2 saved  ETA 15s"));
  EXPECT_THAT(screen, HasSubstr("best 0.9 (trial 2)  recommended: trial 3, 0.885 [0.88, 0.89]"));
  v1::Study script = sample_study();  // which alone knows how long it trains
  script.mutable_spec()->mutable_budget()->clear_max_epochs();
  EXPECT_THAT(study_screen(script, sample_trials(), 200, 30), HasSubstr("13 epochs, about 2 saved"));
  EXPECT_LT(screen.find("RUNNING", 30), screen.find("STOPPED")) << "those that run come first";
}

}  // namespace
}  // namespace ds::client

// The study file: what is read, what is said of each mistake, and the jobs that are made of it.
#include "proto/spec/study_spec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "proto/spec/job_spec.h"

namespace ds::spec {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const char kGood[] = R"(name: fashion-mnist-study
model: {family: mlp, hidden: [256]}
data: {dataset: fashion_mnist}
train: {batch_size: 128, seed: 7, optimizer: {name: adamw, lr: 0.001}}
strategy: {data_parallel: 1}
search:
  train.optimizer.lr: {log: [1e-5, 1e-1]}
  model.hidden: {choice: [64, [128], [256, 128]]}
  model.depth: {int: [1, 6]}
  train.optimizer.name: {choice: [sgd, adamw]}
  train.optimizer.momentum: {float: [0, 0.99], when: {train.optimizer.name: sgd}}
constraints: ["params <= 600000", "flops <= 1e9"]
objective: {maximize: test_accuracy}
budget: {trials: 60, parallel: 4, max_epochs: 20}
seed: 3
)";

// A study with this search, and with `rest` below it.
std::string with_search(const std::string& search, const std::string& rest = "", const std::string& train = "{}") {
  return absl::StrCat("name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\ntrain: ", train,
                      "\nobjective: {maximize: test_accuracy}\nsearch:\n  ", search, "\n", rest);
}

std::string error_of(const std::string& text) {
  const auto study = parse_study(text);
  EXPECT_FALSE(study.ok()) << text;
  if (study.ok()) return "";
  EXPECT_EQ(study.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(study.status().message());
}

v1::StudySpec good(const std::string& text) {
  const auto study = parse_study(text);
  EXPECT_TRUE(study.ok()) << study.status() << "\n" << text;
  return study.ok() ? *study : v1::StudySpec();
}

TEST(StudySpec, ReadsTheFileOfTheDocument) {
  const v1::StudySpec study = good(kGood);
  EXPECT_EQ(study.name(), "fashion-mnist-study");
  EXPECT_EQ(study.job().name(), "fashion-mnist-study");
  EXPECT_EQ(study.job().train().epochs(), 20) << "of the budget";
  ASSERT_EQ(study.search_size(), 5);
  EXPECT_EQ(study.search(0).key(), "train.optimizer.lr");
  EXPECT_EQ(study.search(0).kind(), v1::SearchSpec::LOG);
  EXPECT_EQ(study.search(0).low(), 1e-5);
  EXPECT_EQ(study.search(0).high(), 0.1);
  EXPECT_THAT(study.search(1).choices(), ElementsAre("[64]", "[128]", "[256, 128]")) << "a number is a list of one";
  EXPECT_EQ(study.search(2).kind(), v1::SearchSpec::INT);
  EXPECT_THAT(study.search(3).choices(), ElementsAre("sgd", "adamw"));
  EXPECT_EQ(study.search(4).parent(), "train.optimizer.name");
  EXPECT_THAT(study.search(4).when(), ElementsAre("sgd"));
  ASSERT_EQ(study.constraints_size(), 2);
  EXPECT_EQ(study.constraints(0).quantity(), v1::ConstraintSpec::PARAMS);
  EXPECT_EQ(study.constraints(1).quantity(), v1::ConstraintSpec::FLOPS);
  EXPECT_EQ(study.constraints(1).bound(), 1e9);
  EXPECT_FALSE(study.constraints(0).at_least());
  EXPECT_EQ(study.objectives(0).metric(), "test_accuracy");
  EXPECT_TRUE(study.objectives(0).maximize());
  EXPECT_EQ(study.budget().trials(), 60);
  EXPECT_EQ(study.seed(), 3u);
  EXPECT_TRUE(study.early_stopping());
  EXPECT_TRUE(study.retrain());
  EXPECT_TRUE(validate(study).ok()) << validate(study);
}

TEST(StudySpec, FillsTheBudget) {
  const v1::StudySpec study = good(with_search("train.optimizer.lr: {log: [1e-5, 1e-1]}", "", "{epochs: 3}"));
  EXPECT_EQ(study.budget().trials(), 40);
  EXPECT_EQ(study.budget().parallel(), 2);
  EXPECT_EQ(study.budget().max_epochs(), 3);
  EXPECT_EQ(parse_study(with_search("train.optimizer.lr: {log: [1e-5, 1]}"), "other")->job().name(), "other");
}

TEST(StudySpec, JsonGoesAroundTheCircle) {
  for (const std::string& text :
       {std::string(kGood),
        with_search("model.depth: {log_int: [1, 4]}\n"
                    "  train.deterministic: {choice: [true, false]}\n"
                    "  train.optimizer.beta1: {logit: [0.5, 0.999], when: {model.depth: [1, 2]}}\n"
                    "  train.virtual_shards: {ordinal: [4, 8], when: {train.deterministic: true}}",
                    "constraints: [\"params >= 1000\"]\nearly_stopping: false\nretrain: false\nbudget: {trials: 7}")}) {
    const v1::StudySpec study = good(text);
    const auto again = parse_study(to_json(study));
    ASSERT_TRUE(again.ok()) << again.status() << to_json(study);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(study, *again)) << to_json(study);
  }
}

struct Mistake {
  std::string file, said;
};

class StudyMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(StudyMistakes, AreNamed) { EXPECT_THAT(error_of(GetParam().file), HasSubstr(GetParam().said)); }

INSTANTIATE_TEST_SUITE_P(
    Of, StudyMistakes,
    ::testing::Values(
        // The search and its keys.
        Mistake{with_search("train.optimizer.lrr: {log: [1e-5, 1]}"),
                "line 7: search.train.optimizer.lrr: no key of the job file; did you mean train.optimizer.lr?"},
        Mistake{with_search("lr: {log: [1e-5, 1]}"), "did you mean train.optimizer.lr?"},
        Mistake{with_search("train.epochs: {int: [1, 5]}"),
                "search.train.epochs: a study does not search it; budget.max_epochs says how long a trial trains"},
        Mistake{with_search("name: {choice: [a, b]}"), "search.name: a study does not search it"},
        Mistake{"name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\nobjective: {maximize: loss}\n",
                "search: is missing"},
        Mistake{"name: a\nsearch: [1]\n", "line 2: search: expected a mapping"},
        Mistake{with_search("model.depth: 3"), "line 7: search.model.depth: expected a kind and its values"},
        Mistake{with_search("model.depth: {int: [1, 2]}\n  model.depth: {int: [1, 3]}"),
                "line 8: search.model.depth: stands twice; keep one"},
        // Kinds and bounds.
        Mistake{with_search("model.depth: {itn: [1, 3]}"), "search.model.depth.itn: is no kind; did you mean int?"},
        Mistake{with_search("model.depth: {int: [1, 3], choice: [1]}"), "a second kind, beside int; keep one"},
        Mistake{with_search("model.depth: {when: {a: 1}}"), "search.model.depth: no kind; give one of float, log"},
        Mistake{with_search("model.depth: {float: [1, 3]}"), "this is an integer; use int or log_int"},
        Mistake{with_search("train.optimizer.name: {int: [1, 3]}"), "int is for numbers; use choice"},
        Mistake{with_search("model.depth: {int: [1, 2, 3]}"), "expected bounds [low, high], got a list of 3"},
        Mistake{with_search("model.depth: {int: [1.5, 3]}"),
                "search.model.depth.int[0]: 1.5 is no whole number; the nearest is 2"},
        Mistake{with_search("model.depth: {int: [0, 3]}"),
                "line 7: search.model.depth.int[0]: 0 is not allowed; the least is 1"},
        Mistake{with_search("train.optimizer.lr: {log: [0, 1]}"),
                "search.train.optimizer.lr.log[0]: 0 is not allowed; it must be greater than 0"},
        Mistake{with_search("train.optimizer.weight_decay: {log: [0, 1]}"),
                "weight_decay.log[0]: log needs a lower bound above 0, got 0"},
        Mistake{with_search("train.optimizer.beta1: {float: [0.5, 1]}"), "1 is not allowed; it must be less than 1"},
        Mistake{with_search("train.optimizer.beta1: {logit: [0, 0.9]}"), "logit needs bounds within (0, 1)"},
        Mistake{with_search("train.optimizer.lr: {log: [1e-1, 1e-5]}"),
                "search.train.optimizer.lr: bounds are [low, high] with low below high, got [0.1, 1e-05]"},
        Mistake{with_search("train.optimizer.lr: {log: [small, 1]}"),
                "search.train.optimizer.lr.log[0]: expected a number, got \"small\""},
        // Choices.
        Mistake{with_search("train.optimizer.name: {choice: [sgd, adam]}"),
                "search.train.optimizer.name.choice[1]: \"adam\" is not one of sgd, adamw, graph; did you mean adamw?"},
        Mistake{with_search("model.hidden: {choice: [64, [0]]}"),
                "search.model.hidden.choice[1]: 0 is not allowed; the least is 1"},
        Mistake{with_search("model.hidden: {choice: [64, wide]}"), "expected an integer, got \"wide\""},
        Mistake{with_search("model.hidden: {choice: [64, [64]]}"), "choice[1]: [64] stands twice; keep one"},
        Mistake{with_search("model.hidden: {choice: []}"), "search.model.hidden.choice: there are no choices"},
        Mistake{with_search("model.hidden: {choice: 64}"), "expected a list of values, got \"64\""},
        Mistake{with_search("strategy.data_parallel: {choice: [1, auto]}"), "choice[1]: expected an integer, got"},
        Mistake{with_search("strategy.data_parallel: {choice: [1, -1]}"), "auto is planned at each start"},
        // Conditions.
        Mistake{with_search("model.depth: {int: [1, 3], when: {model.hiden: 64}}\n  model.hidden: {choice: [64]}"),
                "search.model.depth.when.model.hiden: is no key of this search; did you mean model.hidden?"},
        Mistake{with_search("model.depth: {int: [1, 3], when: {model.hidden: 65}}\n  model.hidden: {choice: [64]}"),
                "[65] is not one of its values [64]; did you mean [64]?"},
        Mistake{
            with_search("train.optimizer.lr: {log: [0.1, 1], when: {model.depth: 9}}\n  model.depth: {int: [1, 3]}"),
            "when.model.depth: 9 is not within its [1, 3]"},
        Mistake{with_search("model.depth: {int: [1, 3], when: {train.optimizer.lr: 1}}\n"
                            "  train.optimizer.lr: {float: [0.1, 1]}"),
                "must have at most 1024 values to choose from; it is a float"},
        Mistake{with_search("model.depth: {int: [1, 3], when: {train.optimizer.name: sgd}}\n"
                            "  train.optimizer.name: {choice: [sgd, adamw], when: {model.depth: 1}}"),
                "search.model.depth.when: its parents lead back to it"},
        Mistake{with_search("model.depth: {int: [1, 3], when: sgd}"), "expected one key of the search and its value"},
        Mistake{
            with_search("train.optimizer.name: {choice: [sgd, adamw]}\n  train.optimizer.momentum: {float: [0, 0.9]}"),
            "line 8: search.train.optimizer.momentum: with train.optimizer.momentum 0.9 and train.optimizer.name "
            "adamw: "
            "is used only where train.optimizer.name is sgd; add when: {train.optimizer.name: sgd}"},
        Mistake{with_search("train.optimizer.momentum: {float: [0, 0.9]}"),
                "line 7: search.train.optimizer.momentum: with train.optimizer.momentum 0.9: is used only where "
                "train.optimizer.name is sgd; remove it"},
        // Combinations.
        Mistake{with_search("train.batch_size: {int: [32, 256]}", "strategy: {data_parallel: 2}"),
                "search.train.batch_size: with train.batch_size 33: 33 is not divisible by strategy.data_parallel 2"},
        Mistake{with_search("strategy.data_parallel: {int: [1, 4]}"),
                "search.strategy.data_parallel: with strategy.data_parallel 3: train.batch_size: 128 is not divisible"},
        Mistake{with_search("train.optimizer.lr: {log: [1e-5, 1e-1]}", "", "{schedule: {name: cosine, min_lr: 1e-4}}"),
                "search.train.optimizer.lr: with train.optimizer.lr 1e-05: train.schedule.min_lr: 1e-04 is above"},
        Mistake{with_search("model.channels: {choice: [32]}"),
                "search.model.channels: is used only where model.family is cnn"},
        // What is beside the search.
        Mistake{with_search("model.depth: {int: [1, 3]}", "budget: {trails: 3}"),
                "line 8: budget.trails: unknown key; did you mean budget.trials?"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "budget: {trials: 0}"),
                "line 8: budget.trials: 0 is not allowed; the least is 1"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "budget: {max_epochs: 4}", "{epochs: 3}"),
                "line 4: train.epochs: 3 stands beside budget.max_epochs 4; keep one"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "sead: 1"), "line 8: sead: unknown key; did you mean seed?"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "seed: -1"), "seed: expected"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "constraints: [\"parms <= 3\"]"),
                "line 8: constraints[0]: \"parms\" is not one of params, flops; did you mean params?"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "constraints: [\"params < 3\"]"),
                "constraints[0]: expected params or flops, <= or >=, and a number"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "constraints: [\"params <= 1000\"]"),
                "constraints[0]: no model of the search has params <= 1000; the smallest has 407050"},
        Mistake{with_search("model.depth: {int: [1, 3]}", "constraints: [\"params >= 1e9\"]"), "the largest has"}));

std::string with_objective(const std::string& objective) {
  return "name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\nsearch: {model.depth: {int: [1, 3]}}\n" +
         objective;
}

TEST(StudySpec, ObjectivesThatAreRefused) {
  EXPECT_THAT(error_of(with_objective("")), HasSubstr("objective: is missing"));
  EXPECT_THAT(error_of(with_objective("objective: {maximize: test_acuracy}")),
              HasSubstr("line 5: objective.maximize: \"test_acuracy\" is not one of test_accuracy, test_loss, loss, "
                        "samples_per_second, params, flops; did you mean test_accuracy?"));
  EXPECT_THAT(error_of(with_objective("objective: {maximise: test_accuracy}")),
              HasSubstr("did you mean objective.maximize?"));
  EXPECT_THAT(
      error_of(with_objective("objective: {maximize: test_accuracy, minimize: test_loss}")),
      HasSubstr(
          "line 5: objective: two objectives are a list, such as [{maximize: test_accuracy}, {minimize: params}]"));
  EXPECT_THAT(error_of(with_objective("objective: {maximize: [test_accuracy, loss]}")),
              HasSubstr("objective.maximize: two objectives are a list, such as"));
  EXPECT_FALSE(good(with_objective("objective: {minimize: test_loss}")).objectives(0).maximize());
}

TEST(StudySpec, TwoObjectives) {
  const v1::StudySpec study = good(with_objective("objective: [{maximize: test_accuracy}, {minimize: params}]"));
  ASSERT_EQ(study.objectives_size(), 2);
  EXPECT_EQ(study.objectives(0).metric(), "test_accuracy");
  EXPECT_TRUE(study.objectives(0).maximize());
  EXPECT_EQ(study.objectives(1).metric(), "params");
  EXPECT_FALSE(study.objectives(1).maximize());
  EXPECT_TRUE(is_known(study.objectives(1)));
  EXPECT_TRUE(study.early_stopping());
  EXPECT_EQ(to_json(good(to_json(study))), to_json(study));
  EXPECT_EQ(to_json(good(with_objective("objective: [{minimize: loss}]"))),
            to_json(good(with_objective("objective: {minimize: loss}"))))
      << "a list of one";
  EXPECT_FALSE(
      good(with_objective("objective: [{minimize: test_loss}, {maximize: samples_per_second}]")).early_stopping())
      << "of two measured ones none says which trial is hopeless";
}

TEST(StudySpec, TwoObjectivesThatAreRefused) {
  const auto said = [](const std::string& objective, const std::string& more = "") {
    return error_of(with_objective("objective: " + objective + "\n" + more));
  };
  EXPECT_THAT(said("{minimize: params}"),
              HasSubstr("line 5: objective.minimize: params is known before any trial; give one that trials measure "
                        "beside it: test_accuracy, test_loss, loss, samples_per_second"));
  EXPECT_THAT(said("[{minimize: params}, {minimize: flops}]"), HasSubstr("objective[1].minimize: flops is known"));
  EXPECT_THAT(said("[{minimize: loss}, {maximize: loss}]"), HasSubstr("objective[1].maximize: loss stands twice"));
  EXPECT_THAT(said("[{minimize: loss}, {minimize: parms}]"),
              HasSubstr("objective[1].minimize: \"parms\" is not one of"));
  EXPECT_THAT(said("[{minimize: loss}, {minimise: params}]"), HasSubstr("did you mean objective[1].minimize?"));
  EXPECT_THAT(said("[{minimize: loss}, {minimize: params}, {minimize: flops}]"),
              HasSubstr("3 objectives; the most is 2"));
  EXPECT_THAT(
      said("[{minimize: loss}, {minimize: test_loss}]", "early_stopping: true"),
      HasSubstr("line 6: early_stopping: a trial is compared with others by one measured objective, and two are"));
  EXPECT_THAT(
      error_of("name: a\nmodel: {graph: a.safetensors}\ndata: {dataset: fashion_mnist}\n"
               "search: {train.batch_size: {int: [1, 3]}}\nobjective: [{minimize: loss}, {minimize: params}]\n"),
      HasSubstr("objective[1].minimize: the size of a graph or a script is not known"));
}

// The search stands above the template: types are known only when all of the file is read.
const char kScript[] = R"(name: tune-script
search:
  model.params.lr: {log: [1e-5, 1]}
  model.params.width: {choice: [32, 64]}
  model.params.dropout: {float: [0, 0.5], when: {model.params.width: 64}}
  model.params.act: {choice: [relu, "1"]}
  model.params.nesterov: {choice: [true, false]}
objective: {maximize: val/f1}
budget: {trials: 6}
model: {script: train.py, args: [--epochs, 2], params: {lr: 1e-3, width: 32, dropout: 0.0, act: relu, nesterov: true, seed: 7}}
strategy: {data_parallel: 2}
)";

std::string with_script(const std::string& search, const std::string& rest = "") {
  return absl::StrCat("name: a\nmodel: {script: train.py, params: {lr: 1e-3, width: 32, act: relu}}\n",
                      rest.find("objective") == rest.npos ? "objective: {maximize: f1}\n" : "", "search:\n  ", search,
                      "\n", rest);
}

TEST(StudySpec, AScriptsParametersAreSearched) {
  const v1::StudySpec study = good(kScript);
  EXPECT_THAT(study.search(1).choices(), ElementsAre("32", "64"));
  EXPECT_THAT(study.search(2).when(), ElementsAre("64"));
  EXPECT_THAT(study.search(3).choices(), ElementsAre("relu", "1"));
  EXPECT_THAT(study.search(4).choices(), ElementsAre("true", "false"));
  EXPECT_EQ(study.objectives(0).metric(), "val/f1");
  EXPECT_FALSE(is_known(study.objectives(0)));
  EXPECT_TRUE(study.early_stopping());
  EXPECT_FALSE(study.budget().has_max_epochs()) << "the script's own affair";
  EXPECT_FALSE(study.job().train().has_epochs());
  const auto again = parse_study(to_json(study));
  ASSERT_TRUE(again.ok()) << again.status() << to_json(study);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(study, *again)) << to_json(study);
  EXPECT_THAT(std::string(validate(study).message()), HasSubstr("model.script: \"train.py\" is not the digest"))
      << "and nothing else";
}

TEST(TrialJob, OfAScriptHasTheTypesOfItsTemplate) {
  const auto job = trial_job(good(absl::StrReplaceAll(kScript, {{"train.py", "sha256:" + std::string(64, 'a')}})), 3,
                             {{"model.params.lr", "1"},
                              {"model.params.width", "64"},
                              {"model.params.dropout", "0.25"},
                              {"model.params.act", "1"},
                              {"model.params.nesterov", "false"}});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name(), "tune-script-3");
  EXPECT_THAT(to_json(*job, -1),
              HasSubstr("\"args\":[\"--epochs\",\"2\"],\"params\":{\"lr\":1.0,\"width\":64,\"dropout\":"
                        "0.25,\"act\":\"1\",\"nesterov\":false,\"seed\":7}"));
  EXPECT_FALSE(job->train().has_epochs());
}

TEST(TrialJob, OfAScriptIsNotPassedWhatIsNotActive) {
  const auto job = trial_job(good(absl::StrReplaceAll(kScript, {{"train.py", "sha256:" + std::string(64, 'a')}})), 3,
                             {{"model.params.lr", "1"}, {"model.params.width", "32"}, {"model.params.act", "1"}});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(to_json(*job, -1),
              HasSubstr("\"params\":{\"lr\":1.0,\"width\":32,\"act\":\"1\",\"nesterov\":true,\"seed\":7}"))
      << "its own default of dropout counts; what the trial only does not name is the template's";
}

TEST(StudySpec, SearchesOfScriptsThatAreRefused) {
  const auto said = [](const std::string& search, const std::string& rest = "") {
    return error_of(with_script(search, rest));
  };
  EXPECT_EQ(said("model.params.lrr: {log: [1e-5, 1]}"),
            "line 5: search.model.params.lrr: the template has no such parameter; did you mean model.params.lr?");
  EXPECT_EQ(
      said("model.params.dropout: {float: [0, 1]}"),
      "line 5: search.model.params.dropout: the template has no such parameter; give it a value there, which says "
      "its type");
  EXPECT_THAT(said("lr: {log: [1e-5, 1]}"), HasSubstr("line 5: search.lr: no key of the job file; did you mean "
                                                      "model.params.lr?"));
  EXPECT_THAT(said("model.params: {choice: [1]}"),
              HasSubstr("name a parameter of the script, such as model.params.lr"));
  EXPECT_EQ(said("model.params.width: {float: [16, 64]}"),
            "line 5: search.model.params.width: float gives fractions, and this is an integer; use int or log_int; the "
            "template has 32, or write it with a point");
  EXPECT_EQ(said("model.params.width: {choice: [16, wide]}"),
            "line 5: search.model.params.width.choice[1]: expected an integer, got \"wide\"");
  EXPECT_EQ(said("model.params.width: {choice: [16, 0x10]}"),
            "line 5: search.model.params.width.choice[1]: 16 stands twice; keep one");
  EXPECT_EQ(said("model.params.lr: {choice: [1, .inf]}"),
            "line 5: search.model.params.lr.choice[1]: expected a number, got \".inf\"");
  EXPECT_EQ(said("model.params.lr: {float: [0, .inf]}"),
            "line 5: search.model.params.lr.float[1]: expected a number, got \".inf\"");
  EXPECT_EQ(said("model.params.width: {choice: [16, [32]]}"),
            "line 5: search.model.params.width.choice[1]: expected an integer, got a list");
  EXPECT_EQ(said("model.params.act: {float: [0, 1]}"),
            "line 5: search.model.params.act: float is for numbers; use choice; the template has \"relu\"");
  EXPECT_EQ(said("model.params.lr: {log: [0, 1]}"),
            "line 5: search.model.params.lr.log[0]: log needs a lower bound above 0, got 0");
  EXPECT_EQ(said("model.params.lr: {log: [1e-5, 1], when: {model.params.width: 16}}\n"
                 "  model.params.width: {choice: [32, 64]}"),
            "line 5: search.model.params.lr.when.model.params.width: 16 is not one of its values 32, 64");
  EXPECT_THAT(said("train.optimizer.lr: {log: [1e-5, 1]}"),
              HasSubstr("line 5: search.train.optimizer.lr: is used only where model.script is not given"));
  EXPECT_EQ(said("model.params.lr: {log: [1e-5, 1]}", "budget: {max_epochs: 3}"),
            "line 6: budget.max_epochs: a script's own parameters say how long it trains; remove it");
  EXPECT_EQ(said("model.params.lr: {log: [1e-5, 1]}", "constraints: [\"params <= 1000\"]"),
            "line 6: constraints[0]: the size of a graph or a script is not known before it is trained; remove it");
  EXPECT_EQ(
      said("model.params.lr: {log: [1e-5, 1]}", "objective: [{maximize: f1}, {minimize: flops}]"),
      "line 5: objective[1].minimize: the size of a graph or a script is not known before it is trained; remove it");
  EXPECT_THAT(
      said("model.params.lr: {log: [1e-5, 1]}", "objective: {maximize: \"f 1\"}"),
      HasSubstr("\"f 1\" is not one of test_accuracy, test_loss, loss, samples_per_second, params, flops, nor a "
                "name that a script may report"));
  EXPECT_THAT(error_of(with_search("model.params.lr: {log: [1e-5, 1]}")),
              HasSubstr("line 7: search.model.params.lr: the template has no such parameter"));
}

TEST(StudySpec, SaysAllThatIsWrongAtOnce) {
  const std::string said = error_of(
      "name: a\nmodel: {family: mlp, layers: 3}\ndata: {dataset: fashion_mnist}\n"
      "search:\n  train.optimizer.lr: {log: [1, 0.1]}\n  model.dept: {int: [1, 2]}\n"
      "objective: {maximize: test_accuracy}\nbudget: {parallel: 0}\n");
  EXPECT_THAT(said, AllOf(HasSubstr("line 2: model.layers: is used only where model.family is gpt"),
                          HasSubstr("line 5: search.train.optimizer.lr: bounds are"),
                          HasSubstr("line 6: search.model.dept: no key of the job file; did you mean model.depth?"),
                          HasSubstr("line 8: budget.parallel: 0 is not allowed")));
}

TEST(StudySpec, WhatIsWrongWithTheTemplateIsSaidOnceAndOfTheTemplate) {
  const std::string said = error_of(
      "name: a\nmodel: {family: mlp}\ndata: {dataset: tokens}\nobjective: {minimize: loss}\n"
      "search:\n  train.optimizer.lr: {log: [1e-5, 1]}\n  model.depth: {int: [1, 6]}\n");
  EXPECT_THAT(said, HasSubstr("line 3: data.dataset: \"tokens\" does not fit model.family mlp; use fashion_mnist"));
  EXPECT_THAT(said, Not(HasSubstr("with ")));
}

TEST(StudySpec, IntBatchesThatAlwaysFitAreTaken) {
  good(with_search("train.batch_size: {ordinal: [32, 64, 128]}\n  strategy.data_parallel: {ordinal: [1, 2, 4]}"));
  good(with_search("train.batch_size: {int: [32, 256]}"));
}

TEST(TrialJob, TakesTheValuesInPlaceOfTheTemplatesOwn) {
  const auto job = trial_job(good(kGood), 12,
                             {{"train.optimizer.lr", "0.02"},
                              {"model.hidden", "[256, 128]"},
                              {"model.depth", "3"},
                              {"train.optimizer.name", "sgd"},
                              {"train.optimizer.momentum", "0.5"}});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name(), "fashion-mnist-study-12");
  EXPECT_EQ(job->train().epochs(), 20);
  EXPECT_EQ(job->train().batch_size(), 128);
  EXPECT_THAT(job->model().hidden(), ElementsAre(256, 128));
  EXPECT_EQ(job->model().depth(), 3);
  EXPECT_EQ(job->train().optimizer().lr(), 0.02);
  EXPECT_EQ(job->train().optimizer().momentum(), 0.5);
}

// The template's optimizer is adamw. A trial of sgd must be the job that a user would write, not one with adamw's
// decay.
TEST(TrialJob, DefaultsAreThoseOfTheTrialsOwnValues) {
  const v1::StudySpec study = good(kGood);
  EXPECT_FALSE(study.job().train().optimizer().has_weight_decay());
  const auto sgd = trial_job(study, 0, {{"train.optimizer.name", "sgd"}});
  ASSERT_TRUE(sgd.ok()) << sgd.status();
  EXPECT_FALSE(sgd->train().optimizer().has_weight_decay());
  EXPECT_FALSE(sgd->train().optimizer().has_beta1());
  const auto adamw = trial_job(study, 0, {{"train.optimizer.name", "adamw"}});
  ASSERT_TRUE(adamw.ok()) << adamw.status();
  EXPECT_EQ(adamw->train().optimizer().weight_decay(), 0.01);
  EXPECT_EQ(adamw->train().optimizer().beta1(), 0.9);
}

TEST(TrialJob, WhatTheTemplateSaysOfAnotherCaseIsLeftOut) {
  const v1::StudySpec study =
      good(with_search("train.optimizer.name: {choice: [sgd, adamw]}", "", "{optimizer: {beta1: 0.8, momentum: 0.7}}"));
  const auto sgd = trial_job(study, 0, {{"train.optimizer.name", "sgd"}});
  ASSERT_TRUE(sgd.ok()) << sgd.status();
  EXPECT_EQ(sgd->train().optimizer().momentum(), 0.7);
  EXPECT_FALSE(sgd->train().optimizer().has_beta1());
  const auto adamw = trial_job(study, 0, {{"train.optimizer.name", "adamw"}});
  ASSERT_TRUE(adamw.ok()) << adamw.status();
  EXPECT_EQ(adamw->train().optimizer().beta1(), 0.8);
  EXPECT_EQ(adamw->train().optimizer().momentum(), 0);
}

TEST(TrialJob, FamiliesMayBeSearched) {
  const v1::StudySpec study = good(
      "name: a\ndata: {dataset: fashion_mnist}\nobjective: {minimize: test_loss}\nsearch:\n"
      "  model.family: {choice: [mlp, cnn]}\n"
      "  model.hidden: {choice: [[64], [32, 32]], when: {model.family: mlp}}\n"
      "  model.channels: {choice: [[8], [8, 16]], when: {model.family: cnn}}\n");
  EXPECT_THAT(trial_job(study, 0, {{"model.family", "cnn"}, {"model.channels", "[8, 16]"}})->model().channels(),
              ElementsAre(8, 16));
  EXPECT_THAT(trial_job(study, 0, {{"model.family", "mlp"}})->model().hidden(), ElementsAre(512, 256)) << "the default";
}

TEST(TrialJob, RefusesWhatTheStudyDoesNotSearch) {
  const v1::StudySpec study = good(kGood);
  EXPECT_THAT(std::string(trial_job(study, 0, {{"train.batch_size", "64"}}).status().message()),
              HasSubstr("train.batch_size: study fashion-mnist-study does not search it"));
  EXPECT_THAT(std::string(trial_job(study, 0, {{"model.depth", "deep"}}).status().message()),
              HasSubstr("model.depth: expected an integer, got \"deep\""));
  EXPECT_THAT(std::string(trial_job(study, 0, {{"model.depth", "0"}}).status().message()),
              HasSubstr("model.depth: 0 is not allowed; the least is 1"));
}

TEST(TrialJob, ALongNameKeepsItsNumber) {
  v1::StudySpec study = good(kGood);
  study.set_name(std::string(63, 'n'));
  const auto job = trial_job(study, 1234, {});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name(), std::string(58, 'n') + "-1234");
}

TEST(ValidateStudy, IsForTheCoordinator) {
  v1::StudySpec study = good(kGood);
  study.mutable_search(0)->set_low(-1);
  EXPECT_THAT(std::string(validate(study).message()), HasSubstr("search.train.optimizer.lr.log[0]: -1 is not allowed"));
  study = good(kGood);
  study.set_name("other");
  EXPECT_THAT(std::string(validate(study).message()), HasSubstr("name: \"other\" is not its job's name"));
  const v1::StudySpec graph = good(
      "name: a\nmodel: {graph: model.safetensors}\ndata: {dataset: tensors, path: /data/x.safetensors}\n"
      "objective: {minimize: loss}\nsearch: {train.optimizer.lr: {log: [1e-4, 1]}}\n");
  EXPECT_THAT(std::string(validate(graph).message()),
              HasSubstr("model.graph: \"model.safetensors\" is not the digest"));
}

TEST(ModelSize, OfSmallModelsByHand) {
  const auto size = [](const std::string& model) {
    const auto job = parse_job("name: a\nmodel: " + model + "\ndata: {dataset: fashion_mnist}\n");
    EXPECT_TRUE(job.ok()) << job.status();
    return *model_size(*job);
  };
  EXPECT_EQ(size("{family: mlp, hidden: [64]}").params, 784 * 64 + 64 + 64 * 10 + 10);
  EXPECT_EQ(size("{family: mlp, hidden: [64]}").flops, 2 * (784 * 64 + 64 * 10));
  EXPECT_EQ(size("{family: mlp, hidden: [64, 32], depth: 3}").params,
            size("{family: mlp, hidden: [64, 32, 32]}").params);
  EXPECT_EQ(size("{family: mlp, hidden: [64, 32], depth: 1}").params, size("{family: mlp, hidden: [64]}").params);
  EXPECT_EQ(size("{family: cnn, channels: [8]}").params, 9 * 8 + 8 + 8 * 14 * 14 * 128 + 128 + 1280 + 10);
}

TEST(ModelSize, IsNotKnownOfGraphsScriptsAndOtherImages) {
  v1::JobSpec job;
  job.mutable_model()->set_graph("sha256:0");
  EXPECT_FALSE(model_size(job).has_value());
  job.mutable_model()->set_family("mlp");
  job.mutable_data()->set_path("/data/idx");
  EXPECT_FALSE(model_size(job).has_value());
}

TEST(Depth, OfACnnIsBoundedByItsImages) {
  const auto job =
      parse_job("name: a\nmodel: {family: cnn, channels: [8], depth: 5}\ndata: {dataset: fashion_mnist}\n");
  EXPECT_THAT(std::string(job.status().message()),
              HasSubstr("line 2: model.depth: 5 halves the 28x28 images of fashion_mnist to nothing; the most is 4"));
  EXPECT_THAT(
      std::string(
          parse_job("name: a\nmodel: {family: gpt, depth: 5}\ndata: {dataset: tokens, path: t}\n").status().message()),
      HasSubstr("model.depth: is used only where model.family is mlp or cnn; remove it"));
}

TEST(StudySpec, TheExamplesAreGood) {
  for (const char* name : {"fashion_mnist_study", "fashion_mnist_front", "script/study"}) {
    std::ifstream in(absl::StrCat(DS_SOURCE_DIR "/examples/", name, ".yaml"));
    std::stringstream text;
    text << in.rdbuf();
    v1::StudySpec study = good(text.str());
    v1::ModelSpec& model = *study.mutable_job()->mutable_model();
    if (!model.script().empty()) model.set_script("sha256:" + std::string(64, 'a'));  // as uploaded
    EXPECT_TRUE(validate(study).ok()) << validate(study);
  }
}

}  // namespace
}  // namespace ds::spec

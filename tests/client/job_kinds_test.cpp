// The three kinds of a job: a built-in family, a traced graph, a script. Which keys go with which.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "proto/spec/fields.h"
#include "proto/spec/job_spec.h"

namespace ds::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string error_of(const std::string& text) {
  const auto spec = parse_job(text);
  EXPECT_FALSE(spec.ok()) << text;
  return std::string(spec.status().message());
}

std::string job(const std::string& model, const std::string& rest) { return "name: a\nmodel: " + model + "\n" + rest; }

TEST(JobKinds, AGraphTrainsOnAnyDataset) {
  for (const char* data :
       {"{dataset: tensors, path: data.safetensors}", "{dataset: fashion_mnist}", "{dataset: tokens, path: /t.bin}"}) {
    const auto spec = parse_job(job("{graph: model.safetensors}", std::string("data: ") + data));
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->model().graph(), "model.safetensors");
    EXPECT_EQ(spec->train().optimizer().name(), "adamw") << "the engine trains it: defaults as ever";
    EXPECT_EQ(spec->model().hidden_size(), 0);
  }
}

TEST(JobKinds, AScriptNeedsNothingElse) {
  const auto spec = parse_job(
      job("{script: train.py, args: [--epochs, 3, \"\"]}", "train: {threads: 2}\nstrategy: {data_parallel: 3}"));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->model().args(), ElementsAre("--epochs", "3", ""));
  EXPECT_EQ(spec->strategy().data_parallel(), 3);
  EXPECT_FALSE(spec->has_checkpoint()) << "no default is made up for what has no meaning";
  EXPECT_FALSE(spec->train().has_epochs());
  EXPECT_TRUE(spec->train().optimizer().name().empty());
  EXPECT_TRUE(parse_job(job("{script: train.py}", "data: {path: data.safetensors}")).ok());
  EXPECT_TRUE(parse_job(job("{script: train.py}", "data: {dataset: tokens}")).ok()) << "the script knows where";
}

TEST(JobKinds, AScriptsParametersHaveTheTypesOfTheirValues) {
  const auto spec = parse_job(job(
      "{script: train.py, params: {lr: 1e-3, scale: 1.0, width: -64, nesterov: false, act: relu, tag: \"1\"}}", ""));
  ASSERT_TRUE(spec.ok()) << spec.status();
  std::vector<std::string> types;
  for (const v1::ScriptParam& p : spec->model().params())
    types.push_back(
        p.name() + " " +
        std::string(p.GetReflection()
                        ->GetOneofFieldDescriptor(p, v1::ScriptParam::descriptor()->FindOneofByName("value"))
                        ->name()));
  EXPECT_THAT(types,
              ElementsAre("lr number", "scale number", "width integer", "nesterov flag", "act text", "tag text"));
  EXPECT_EQ(spec->model().params(2).integer(), -64);
  EXPECT_THAT(to_json(*spec, -1), HasSubstr("\"params\":{\"lr\":0.001,\"scale\":1.0,\"width\":-64,\"nesterov\":false,"
                                            "\"act\":\"relu\",\"tag\":\"1\"}"));
  const auto again = parse_job(to_json(*spec));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*spec, *again)) << to_json(*again);
}

TEST(JobKinds, AScriptsParametersAreWhatYamlSaysTheyAre) {
  const auto spec =
      parse_job(job("{script: s, params: {a: 0x10, b: 0o17, c: +5, d: .5, e: True, f: FALSE, g: 0x1g, "
                    "h: \".inf\", i: \"0x10\", j: .infinite}}",
                    ""));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(to_json(*spec, -1),
              HasSubstr("\"params\":{\"a\":16,\"b\":15,\"c\":5,\"d\":0.5,\"e\":true,\"f\":false,\"g\":\"0x1g\","
                        "\"h\":\".inf\",\"i\":\"0x10\",\"j\":\".infinite\"}"));
}

TEST(JobKinds, AScriptsParametersThatAreRefused) {
  const auto said = [](const std::string& params) { return error_of(job("{script: s, params: " + params + "}", "")); };
  EXPECT_EQ(said("[lr]"),
            "line 2: model.params: expected a mapping of names to values, such as {lr: 0.001}, got a list");
  EXPECT_EQ(said("{lr: [1, 2]}"),
            "line 2: model.params.lr: expected an integer, a number, true or false, or a text, got a list");
  EXPECT_EQ(said("{lr: }"),
            "line 2: model.params.lr: expected an integer, a number, true or false, or a text, got nothing");
  EXPECT_EQ(said("{n: 99999999999999999999}"),
            "line 2: model.params.n: expected an integer of at most 9223372036854775807, got \"99999999999999999999\"");
  for (const char* word : {".inf", "-.inf", "+.Inf", ".nan", ".NaN", "inf", "-Infinity", "1e999"})
    EXPECT_EQ(
        said(absl::StrCat("{lr: ", word, "}")),
        absl::StrCat("line 2: model.params.lr: expected a finite number, or a text in quotes, got \"", word, "\""));
  EXPECT_EQ(said("{mask: 0xffffffffffffffff}"),
            "line 2: model.params.mask: expected an integer of at most 9223372036854775807, got "
            "\"0xffffffffffffffff\"");
  EXPECT_EQ(said("{lr: nan}"), "line 2: model.params.lr: expected a finite number, or a text in quotes, got \"nan\"");
  EXPECT_EQ(said("{a.b: 1}"),
            "line 2: model.params.a.b: a name is at most 63 letters, digits, - and _, beginning with a letter");
  EXPECT_EQ(said("{-x: 1}"),
            "line 2: model.params.-x: a name is at most 63 letters, digits, - and _, beginning with a letter");
  EXPECT_EQ(said("{lr: 1, lr: 2}"), "line 2: model.params.lr: stands twice; keep one");
  EXPECT_EQ(error_of(job("{family: mlp, params: {lr: 1}}", "data: {dataset: fashion_mnist}")),
            "line 2: model.params: is used only where model.script is given; remove it");
}

// What no file says, but a caller of the RPC may.
TEST(JobKinds, AScriptsParameterWithoutAValueIsRefused) {
  v1::JobSpec spec = *parse_job(job("{script: '" + kDigest + "', params: {lr: 1}}", ""));
  EXPECT_TRUE(validate(spec).ok()) << validate(spec);
  spec.mutable_model()->mutable_params(0)->clear_value();
  EXPECT_THAT(std::string(validate(spec).message()), HasSubstr("model.params.lr: has no value; give an integer"));
  spec.mutable_model()->mutable_params(0)->set_number(1.0 / 0.0);
  EXPECT_EQ(validate(spec).message(), "model.params.lr: inf is not finite");
  spec.mutable_model()->mutable_params(0)->set_text(std::string("a\0b", 3));
  EXPECT_EQ(validate(spec).message(), "model.params.lr: holds a zero byte, which no command line does");
}

TEST(JobKinds, ExactlyOneIsGiven) {
  EXPECT_EQ(error_of(job("{family: mlp, graph: g}", "data: {dataset: fashion_mnist}")),
            "line 2: model.graph: cannot stand beside model.family; keep one of family, graph, script");
  EXPECT_EQ(error_of(job("{script: s, graph: g}", "")),
            "line 2: model.script: cannot stand beside model.graph; keep one of family, graph, script");
  EXPECT_EQ(error_of(job("{}", "data: {dataset: fashion_mnist}")),
            "line 2: model.family: is missing; give one of mlp, cnn, gpt, or model.graph, or model.script");
  EXPECT_EQ(error_of(job("{grpah: g}", "data: {dataset: fashion_mnist}")).substr(0, 74),
            "line 2: model.grpah: unknown key; did you mean model.graph?\nline 2: model.");
}

TEST(JobKinds, KeysOfAnotherKindAreRefused) {
  EXPECT_EQ(error_of(job("{graph: g, hidden: [1]}", "data: {dataset: fashion_mnist}")),
            "line 2: model.hidden: is used only where model.family is mlp; remove it");
  EXPECT_EQ(error_of(job("{graph: g, args: [a]}", "data: {dataset: fashion_mnist}")),
            "line 2: model.args: is used only where model.script is given; remove it");
  EXPECT_EQ(error_of(job("{script: s}",
                         "train:\n  epochs: 2\n  optimizer: {lr: 1}\ncheckpoint: {keep: 3}\n"
                         "strategy: {zero: 0}")),
            "line 4: train.epochs: is used only where model.script is not given; remove it\n"
            "line 5: train.optimizer.lr: is used only where model.script is not given; remove it\n"
            "line 6: checkpoint.keep: is used only where model.script is not given; remove it\n"
            "line 7: strategy.zero: is used only where model.script is not given; remove it");
  EXPECT_EQ(error_of(job("{script: s, args: x}", "")), "line 2: model.args: expected a list, got \"x\"");
}

TEST(JobKinds, TheOptimizerOfAGraphIsInItsFile) {
  const auto spec = parse_job(job("{graph: g}", "data: {dataset: fashion_mnist}\ntrain: {optimizer: {name: graph}}"));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->train().optimizer().has_weight_decay()) << "the file has it";
  EXPECT_EQ(spec->train().optimizer().lr(), 0.001);
  EXPECT_EQ(error_of(job("{family: mlp}", "data: {dataset: fashion_mnist}\ntrain: {optimizer: {name: graph}}")),
            "line 4: train.optimizer.name: graph is the optimizer that a traced model's file holds, and there is no "
            "model.graph; give sgd or adamw");
  EXPECT_EQ(error_of(job("{graph: g}",
                         "data: {dataset: fashion_mnist}\n"
                         "train: {optimizer: {name: graph, weight_decay: 0.1, beta1: 0.5}}")),
            "line 4: train.optimizer.beta1: is used only where train.optimizer.name is adamw; remove it\n"
            "line 4: train.optimizer.weight_decay: stands in the file of model.graph already; remove it");
}

TEST(JobKinds, TensorsNeedAPathAndAGraph) {
  EXPECT_EQ(error_of(job("{graph: g}", "data: {dataset: tensors}")),
            "line 3: data.path: is missing; dataset tensors needs the path of its safetensors file");
  EXPECT_EQ(error_of(job("{family: mlp}", "data: {dataset: tensors, path: a}")),
            "line 3: data.dataset: \"tensors\" does not fit model.family mlp; use fashion_mnist");
  EXPECT_EQ(error_of(job("{graph: g}", "")), "data.dataset: is missing; give one of fashion_mnist, tokens, tensors");
  EXPECT_EQ(error_of(job("{graph: g}", "data: {dataset: tensor, path: a}")),
            "line 3: data.dataset: \"tensor\" is not one of fashion_mnist, tokens, tensors; did you mean tensors?");
}

TEST(JobKinds, OnlyTensorsAreReadFromAnArtifact) {
  EXPECT_TRUE(parse_job(job("{graph: " + kDigest + "}", "data: {dataset: tensors, path: '" + kDigest + "'}")).ok());
  EXPECT_TRUE(parse_job(job("{script: " + kDigest + "}", "data: {path: '" + kDigest + "'}")).ok());
  EXPECT_THAT(error_of(job("{family: gpt}", "data: {dataset: tokens, path: '" + kDigest + "'}")),
              HasSubstr("names an artifact; dataset tokens is read from a path that the workers see"));
}

TEST(JobKinds, ADigestIsWholeOrNone) {
  EXPECT_THAT(error_of(job("{graph: 'sha256:12'}", "data: {dataset: fashion_mnist}")),
              HasSubstr("line 2: model.graph: \"sha256:12\" is not the digest of an artifact"));
  EXPECT_THAT(error_of(job("{script: s}", "data: {path: 'sha256:XX'}")), HasSubstr("line 3: data.path: \"sha256:XX\""));
}

TEST(JobKinds, TheCoordinatorTakesDigestsOnly) {
  auto spec = *parse_job(job("{graph: model.safetensors}", "data: {dataset: tensors, path: /workers/see/it}"));
  EXPECT_EQ(validate(spec).message(),
            "model.graph: \"model.safetensors\" is not the digest of an artifact, sha256: and 64 hexadecimal digits; "
            "dsctl and the SDK upload local files");
  spec.mutable_model()->set_graph(kDigest);
  EXPECT_TRUE(validate(spec).ok()) << validate(spec);
  spec.mutable_data()->set_path("data.safetensors");
  EXPECT_EQ(validate(spec).message(),
            "data.path: \"data.safetensors\" is neither the digest of an artifact nor an absolute path of the workers");
  spec.mutable_data()->set_path(kDigest);
  EXPECT_TRUE(validate(spec).ok()) << validate(spec);
  spec.mutable_model()->set_graph("sha256:1");
  EXPECT_EQ(validate(spec).message().find('\n'), absl::string_view::npos) << "said once: " << validate(spec);
}

TEST(JobKinds, ArtifactsAreFound) {
  auto spec = *parse_job(job("{graph: g}", "data: {dataset: tensors, path: '" + kDigest + "'}"));
  const std::vector<ArtifactName> found = artifacts(spec);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].path, "model.graph");
  EXPECT_EQ(found[0].name, "g");
  EXPECT_EQ(found[1].path, "data.path");
  EXPECT_EQ(found[1].name, kDigest);
  EXPECT_TRUE(artifacts(*parse_job(job("{family: mlp}", "data: {dataset: fashion_mnist, path: /x}"))).empty());
}

TEST(JobKinds, TextIsUtf8) {
  EXPECT_TRUE(parse_job(job("{script: 'tr\u00e4in.py', args: [\xe2\x82\xac, \xf0\x9f\x98\x80]}", "")).ok());
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "a\x80"})
    EXPECT_THAT(error_of(job(std::string("{script: s, args: [") + bad + "]}", "")),
                HasSubstr("line 2: model.args[0]: expected text in UTF-8"));
}

TEST(JobKinds, NothingIsTheSameAsLeftOut) {
  const auto with = parse_job(job("{script: s}", "train: {}\ncheckpoint: {}")),
             without = parse_job(job("{script: s}", ""));
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*with, *without));
}

TEST(JobKinds, JsonGoesAroundTheCircle) {
  for (const std::string& text : {job("{graph: g}", "data: {dataset: tensors, path: d}\ntrain: {epochs: 2}"),
                                  job("{script: s, args: [-x, 'a b', '1']}", "train: {threads: 1}\npriority: 3")}) {
    const auto spec = parse_job(text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const auto again = parse_job(to_json(*spec));
    ASSERT_TRUE(again.ok()) << again.status() << to_json(*spec);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*spec, *again)) << to_json(*spec);
  }
}

}  // namespace
}  // namespace ds::spec

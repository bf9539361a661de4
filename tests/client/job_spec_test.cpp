// The job file: what is read, what is filled in, and what is said of each mistake.
#include "proto/spec/job_spec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "proto/spec/fields.h"
#include "proto/spec/nearest.h"

namespace ds::spec {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char kGood[] = R"(
name: fashion-mnist
model: {family: mlp, hidden: [512, 256]}     # also: cnn
data: {dataset: fashion_mnist}
train: {epochs: 5, batch_size: 128, seed: 7, optimizer: {name: adamw, lr: 0.001}}
strategy: {data_parallel: 2}
checkpoint: {every_steps: 200, keep: 2}
)";

std::string read_file(const std::string& path) {
  std::ifstream in(std::string(DS_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool equal(const v1::JobSpec& a, const v1::JobSpec& b) {
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

// The smallest good file, with `rest` below it.
std::string minimal(const std::string& rest, const std::string& model = "{family: mlp}") {
  return "name: a\nmodel: " + model + "\ndata: {dataset: fashion_mnist}\n" + rest;
}

std::string error_of(const std::string& text) {
  const auto spec = parse_job(text);
  EXPECT_FALSE(spec.ok()) << text;
  if (spec.ok()) return "";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(spec.status().message());
}

TEST(JobSpec, ReadsTheFileOfTheReadme) {
  const auto spec = parse_job(kGood);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name(), "fashion-mnist");
  EXPECT_EQ(spec->model().family(), "mlp");
  EXPECT_THAT(spec->model().hidden(), ElementsAre(512, 256));
  EXPECT_EQ(spec->train().epochs(), 5);
  EXPECT_EQ(spec->train().batch_size(), 128);
  EXPECT_EQ(spec->train().seed(), 7u);
  EXPECT_EQ(spec->train().optimizer().lr(), 0.001);
  EXPECT_EQ(spec->strategy().data_parallel(), 2);
  EXPECT_EQ(spec->checkpoint().every_steps(), 200);
}

TEST(JobSpec, FillsDefaults) {
  const auto spec = parse_job(minimal(""));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->model().hidden(), ElementsAre(512, 256));
  EXPECT_EQ(spec->model().channels_size(), 0);
  const v1::OptimizerSpec& o = spec->train().optimizer();
  EXPECT_EQ(o.name(), "adamw");
  EXPECT_EQ(o.lr(), 1e-3);
  EXPECT_EQ(o.beta1(), 0.9);
  EXPECT_EQ(o.beta2(), 0.999);
  EXPECT_EQ(o.eps(), 1e-8);
  EXPECT_EQ(o.weight_decay(), 0.01);
  EXPECT_EQ(spec->train().schedule().name(), "constant");
  EXPECT_FALSE(spec->train().has_virtual_shards());
  EXPECT_EQ(spec->checkpoint().every_steps(), 200);
  EXPECT_EQ(spec->checkpoint().keep(), 2);
  EXPECT_EQ(spec->strategy().data_parallel(), 1);
}

TEST(JobSpec, DefaultsFollowTheCase) {
  EXPECT_THAT(parse_job(minimal("", "{family: cnn}"))->model().channels(), ElementsAre(32, 64));
  EXPECT_EQ(parse_job(minimal("train: {deterministic: true}"))->train().virtual_shards(), 4);
  const auto sgd = parse_job(minimal("train: {optimizer: {name: sgd}}"));
  ASSERT_TRUE(sgd.ok()) << sgd.status();
  EXPECT_EQ(sgd->train().optimizer().weight_decay(), 0);
  EXPECT_FALSE(sgd->train().optimizer().has_beta1());
  const auto gpt = parse_job("name: g\nmodel: {family: gpt}\ndata: {dataset: tokens, path: /t.bin}\n");
  ASSERT_TRUE(gpt.ok()) << gpt.status();
  EXPECT_EQ(gpt->model().heads(), 4);
}

TEST(JobSpec, AnExplicitZeroIsNotADefault) {
  const auto spec = parse_job(minimal("checkpoint: {every_steps: 0}\ntrain: {optimizer: {weight_decay: 0, beta1: 0}}"));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->checkpoint().every_steps(), 0);
  EXPECT_EQ(spec->train().optimizer().weight_decay(), 0);
  EXPECT_EQ(spec->train().optimizer().beta1(), 0);
  EXPECT_EQ(error_of(minimal("train: {batch_size: 0}")), "line 4: train.batch_size: 0 is not allowed; the least is 1");
}

TEST(JobSpec, WhatTheDataCannotGiveIsRefused) {
  const auto job = [](const std::string& model, const std::string& data, const std::string& rest) {
    return "name: a\nmodel: {family: " + model + "}\ndata: {dataset: fashion_mnist" + data + "}\n" + rest;
  };
  EXPECT_EQ(error_of(job("mlp", ", limit: 1000", "train: {batch_size: 1001}\nstrategy: {data_parallel: 7}")),
            "line 4: train.batch_size: 1001 is above the 1000 training samples of data.limit; the most is 994");
  EXPECT_EQ(error_of(job("mlp", ", limit: 3", "train: {deterministic: true}")),
            "line 3: data.limit: 3 samples do not make a batch of 4 parts; the least is 4");
  EXPECT_EQ(error_of(job("cnn, channels: [1, 2, 3, 4, 5]", "", "")),
            "line 2: model.channels: a list of 5 halves the 28x28 images of fashion_mnist to nothing; the most is 4");
  EXPECT_TRUE(parse_job(job("cnn, channels: [1, 2, 3, 4]", "", "train: {batch_size: 60000}")).ok());
  EXPECT_TRUE(parse_job(job("cnn, channels: [1, 2, 3, 4, 5]", ", path: /mine", "train: {batch_size: 60001}")).ok())
      << "of other files nothing is known";
}

TEST(JobSpec, NameFromOutside) {
  EXPECT_EQ(parse_job("model: {family: mlp}\ndata: {dataset: fashion_mnist}", "given")->name(), "given");
  EXPECT_EQ(parse_job(minimal(""), "given")->name(), "given");
}

struct Mistake {
  const char* rest;
  const char* says;
};
class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreNamed) { EXPECT_EQ(error_of(minimal(GetParam().rest)), GetParam().says); }

INSTANTIATE_TEST_SUITE_P(
    JobSpec, Mistakes,
    ::testing::Values(
        Mistake{"train: {batch_sise: 1}", "line 4: train.batch_sise: unknown key; did you mean train.batch_size?"},
        Mistake{"train.epochs: 5", "line 4: train.epochs: a dot does not nest keys; write train: {epochs: ...}"},
        Mistake{"train: {optimizer.lr: 5}",
                "line 4: train.optimizer.lr: a dot does not nest keys; write train: {optimizer: {lr: ...}}"},
        Mistake{"train: {batch_size: 60001}",
                "line 4: train.batch_size: 60001 is above the 60000 training samples of fashion_mnist; the most is "
                "60000"},
        Mistake{"train:\n  batch_size: -3", "line 5: train.batch_size: -3 is not allowed; the least is 1"},
        Mistake{"train: {epochs: five}", "line 4: train.epochs: expected an integer, got \"five\""},
        Mistake{"train: {epochs: \"5\"}", "line 4: train.epochs: expected an integer, got the text \"5\""},
        Mistake{"train: {epochs: 1.5}", "line 4: train.epochs: expected an integer, got \"1.5\""},
        Mistake{"train: {epochs: }", "line 4: train.epochs: expected an integer, got nothing"},
        Mistake{"train: {epochs: [1]}", "line 4: train.epochs: expected an integer, got a list"},
        Mistake{"train: {seed: -1}", "line 4: train.seed: expected an integer of at least 0, got \"-1\""},
        Mistake{"train: {max_steps: 99999999999999999999}",
                "line 4: train.max_steps: expected an integer of at most 9223372036854775807, got "
                "\"99999999999999999999\""},
        Mistake{"train: {deterministic: yes}", "line 4: train.deterministic: expected true or false, got \"yes\""},
        Mistake{"train: 5",
                "line 4: train: expected a mapping of epochs, batch_size, seed, optimizer, schedule, deterministic, "
                "virtual_shards, max_steps, threads; got \"5\""},
        Mistake{"train: {optimizer: {lr: 0}}",
                "line 4: train.optimizer.lr: 0 is not allowed; it must be greater than 0"},
        Mistake{"train: {optimizer: {lr: .nan}}", "line 4: train.optimizer.lr: expected a number, got \".nan\""},
        Mistake{"train: {optimizer: {beta1: 1}}",
                "line 4: train.optimizer.beta1: 1 is not allowed; it must be less than 1"},
        Mistake{"train: {optimizer: {name: adam}}",
                "line 4: train.optimizer.name: \"adam\" is not one of sgd, adamw, graph; did you mean adamw?"},
        Mistake{"train: {optimizer: {momentum: 0.9}}",
                "line 4: train.optimizer.momentum: is used only where train.optimizer.name is sgd; remove it"},
        Mistake{"train: {schedule: {name: cosine, min_lr: 0.5}}",
                "line 4: train.schedule.min_lr: 0.5 is above train.optimizer.lr; the most is 0.001"},
        Mistake{"strategy: {data_parallel: 5000}",
                "line 4: strategy.data_parallel: 5000 is not allowed; the most is 1024"},
        Mistake{"priority: 2000", "line 4: priority: 2000 is not allowed; the most is 1000"},
        Mistake{"checkpoint: {keep: 0}", "line 4: checkpoint.keep: 0 is not allowed; the least is 1"},
        Mistake{"batch_size: 5", "line 4: batch_size: unknown key; did you mean train.batch_size?"},
        Mistake{"stratgy: {data_parallel: 2}", "line 4: stratgy: unknown key; did you mean strategy?"},
        Mistake{"zebra: 1",
                "line 4: zebra: unknown key; known here: name, model, data, train, strategy, checkpoint, priority"},
        Mistake{"priority: 1\npriority: 2", "line 5: priority: stands twice; keep one"},
        Mistake{"train: {batch_size: 100}\nstrategy: {data_parallel: 3}",
                "line 4: train.batch_size: 100 is not divisible by strategy.data_parallel 3; the nearest that is: 99"},
        Mistake{"train: {batch_size: 96, deterministic: true}\nstrategy: {data_parallel: 3}",
                "line 5: strategy.data_parallel: 3 is not a power of two, as train.deterministic needs; the nearest "
                "are 2 and 4"},
        Mistake{"train: {deterministic: true}\nstrategy: {data_parallel: 8}",
                "line 4: train.virtual_shards: 4 is not a power of two that strategy.data_parallel 8 divides; the "
                "nearest that is: 8"},
        Mistake{"train: {batch_size: 66, deterministic: true}\nstrategy: {data_parallel: 2}",
                "line 4: train.batch_size: 66 is not divisible by train.virtual_shards 4; the nearest that is: 68"},
        Mistake{"train: {virtual_shards: 4}",
                "line 4: train.virtual_shards: is used only where train.deterministic is true; remove it"}));

TEST(JobSpec, MistakesOfTheModel) {
  EXPECT_EQ(error_of(minimal("", "{family: mpl}")),
            "line 2: model.family: \"mpl\" is not one of mlp, cnn, gpt; did you mean mlp?");
  EXPECT_EQ(error_of(minimal("", "{hidden: [1]}")),
            "line 2: model.family: is missing; give one of mlp, cnn, gpt, or model.graph, or model.script\n"
            "line 2: model.hidden: is used only where model.family is mlp; "
            "remove it");
  EXPECT_EQ(error_of(minimal("", "{family: mlp, hidden: [64, 0]}")),
            "line 2: model.hidden[1]: 0 is not allowed; the least is 1");
  EXPECT_EQ(error_of(minimal("", "{family: mlp, hidden: 64}")),
            "line 2: model.hidden: expected a list such as [512, 256], got \"64\"");
  EXPECT_EQ(error_of(minimal("", "{family: mlp, channels: [64]}")),
            "line 2: model.channels: is used only where model.family is cnn; remove it");
  EXPECT_EQ(error_of("name: g\nmodel: {family: gpt, width: 130, heads: 4}\ndata: {dataset: tokens}\n"),
            "line 2: model.width: 130 is not divisible by model.heads 4; the nearest that is: 132\n"
            "line 3: data.path: is missing; dataset tokens needs the path of its token file");
  EXPECT_EQ(error_of("name: g\nmodel: {family: gpt}\ndata: {dataset: fashion_mnist}\n"),
            "line 3: data.dataset: \"fashion_mnist\" does not fit model.family gpt; use tokens");
}

TEST(JobSpec, AllMistakesAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(error_of("model: {family: mpl}\ntrain:\n  epochs: five\n  batch_sise: 1\npriority: 5000\n"),
            "line 1: model.family: \"mpl\" is not one of mlp, cnn, gpt; did you mean mlp?\n"
            "line 3: train.epochs: expected an integer, got \"five\"\n"
            "line 4: train.batch_sise: unknown key; did you mean train.batch_size?\n"
            "line 5: priority: 5000 is not allowed; the most is 1000\n"
            "name: is missing\n"
            "data.dataset: is missing; give one of fashion_mnist, tokens, tensors");
}

TEST(JobSpec, WholeFilesThatAreWrong) {
  EXPECT_EQ(error_of(""), "the file: is empty");
  EXPECT_EQ(error_of("# only words"), "the file: is empty");
  EXPECT_THAT(error_of("just words"), HasSubstr("the file: expected a mapping of name, model"));
  EXPECT_THAT(error_of("- 1\n- 2\n"), HasSubstr("got a list"));
  EXPECT_THAT(error_of("a: [1\nb"), HasSubstr("not YAML"));
  EXPECT_THAT(error_of("---\nname: a\n---\nname: b\n"), HasSubstr("more than one YAML document"));
  EXPECT_THAT(error_of(std::string(2 << 20, ' ')), HasSubstr("too long"));
  EXPECT_THAT(error_of(minimal("? [a, b]\n: 1")), HasSubstr("line 4: the file: a key must be a word, got a list"));
}

// yaml-cpp 0.7 never came back from these, and took all memory.
TEST(JobSpec, StrayPunctuationEnds) {
  for (const char* text : {",", ",a: 1", "{a: 1}}", "a: 1\n}", "[1]]", ")"}) error_of(text);
}

TEST(JobSpec, NamesAreTidied) {
  EXPECT_THAT(error_of("name: my job!\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\n"),
              HasSubstr("such as my-job-"));
  EXPECT_THAT(error_of("name: '-'\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\n"), HasSubstr("such as job"));
}

TEST(JobSpec, JsonGoesAroundTheCircle) {
  for (const std::string& text :
       {std::string(kGood), minimal("checkpoint: {every_steps: 0}", "{family: cnn}"),
        minimal("train: {optimizer: {name: sgd, lr: 0.1, momentum: 0.9}, seed: 18446744073709551615}"),
        minimal("train: {deterministic: true}\npriority: -5")}) {
    const auto spec = parse_job(text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    for (const int indent : {-1, 2}) {
      const auto again = parse_job(to_json(*spec, indent));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_TRUE(equal(*spec, *again)) << to_json(*spec);
    }
    EXPECT_TRUE(validate(*spec).ok());
  }
}

TEST(JobSpec, ValidatesWhatCameOverTheWire) {
  v1::JobSpec spec = *parse_job(kGood);
  spec.mutable_train()->set_batch_size(-3);
  EXPECT_EQ(validate(spec).message(), "train.batch_size: -3 is not allowed; the least is 1");
  spec.mutable_train()->clear_batch_size();
  EXPECT_EQ(validate(spec).message(), "train.batch_size: is missing");
  spec.Clear();
  EXPECT_FALSE(validate(spec).ok());
}

// Every leaf of the message stands in the table exactly once, and the table knows no other.
TEST(Fields, TableMatchesTheMessage) {
  std::multiset<std::string> leaves, rows;
  const std::function<void(const google::protobuf::Descriptor*, std::string)> walk = [&](auto* type, std::string path) {
    for (int i = 0; i < type->field_count(); ++i) {
      const auto* f = type->field(i);
      if (f->message_type() != nullptr && !f->is_repeated()) {
        walk(f->message_type(), path + f->name() + ".");
      } else {
        leaves.insert(path + f->name());
      }
    }
  };
  walk(v1::JobSpec::descriptor(), "");
  for (const Field& field : fields()) rows.insert(std::string(field.path));
  EXPECT_EQ(leaves, rows);
}

// Else an explicit 0 would silently become the default.
TEST(Fields, NumbersWithADefaultKnowWhetherTheyAreSet) {
  for (const Field& field : fields()) {
    const auto* d = look(v1::JobSpec(), field.path).descriptor;
    if (field.fallback.empty() || d->is_repeated() || d->cpp_type() == d->CPPTYPE_STRING) continue;
    EXPECT_TRUE(d->has_presence()) << field.path;
  }
}

TEST(Fields, PageIsUpToDate) {
  EXPECT_EQ(read_file("docs/job-file.md"), schema_markdown()) << "run: dsctl job schema > docs/job-file.md";
}

TEST(Nearest, CountsSwapsOnce) {
  EXPECT_EQ(edit_distance("mpl", "mlp"), 1);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("MLP", "mlp"), 0);
  EXPECT_EQ(nearest("lerning_rate", {"lr", "learning_rate"}), "learning_rate");
  EXPECT_EQ(nearest("zzz", {"lr", "name"}), "");
}

TEST(JobSpec, RanksMayBePlanned) {
  const std::string head = "name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\n";
  const auto spec = parse_job(head + "strategy: {data_parallel: auto}");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->strategy().data_parallel(), kAutomatic);
  EXPECT_TRUE(validate(*spec).ok());
  EXPECT_THAT(to_json(*spec, -1), HasSubstr("\"data_parallel\":\"auto\""));
  const auto again = parse_job(to_json(*spec));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(equal(*spec, *again));
  for (const char* wrong : {"-1", "automatic", "\"2\""})
    EXPECT_THAT(parse_job(head + "strategy: {data_parallel: " + wrong + "}").status().message(),
                HasSubstr("or auto, got"))
        << wrong;
  EXPECT_THAT(parse_job(head + "train: {batch_size: auto}").status().message(), HasSubstr("expected an integer, got"));
}

TEST(JobSpec, AScriptIsNotPlanned) {
  const auto spec = parse_job("name: a\nmodel: {script: a.py}\nstrategy: {data_parallel: auto}");
  EXPECT_THAT(spec.status().message(), HasSubstr("a script's cannot be traced; give a number of ranks"));
}

}  // namespace
}  // namespace ds::spec

// No text crashes the reader, and what it accepts is valid and goes around the circle.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/string_view.h"
#include "proto/digest/digest.h"
#include "proto/spec/fields.h"
#include "proto/spec/job_spec.h"

namespace ds::spec {
namespace {

const char kSeed[] = R"(name: fuzz
model: {family: mlp, hidden: [512, 256]}
data: {dataset: fashion_mnist, limit: 100}
train:
  epochs: 5
  batch_size: 128
  optimizer: {name: adamw, lr: 0.001, beta1: 0.9}
  schedule: {name: cosine, min_lr: 1e-5}
  deterministic: true
strategy: {data_parallel: 2}
checkpoint: {every_steps: 200, keep: 2}
)";

const char kGraph[] = R"(name: fuzz
model: {graph: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}
data: {dataset: tensors, path: 'sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210'}
train: {epochs: 5, optimizer: {name: sgd, momentum: 0.9}}
)";
const char kScript[] = R"(name: fuzz
model: {script: train.py, args: [--epochs, 3, "a b"], params: {lr: 1e-3, width: 64, nesterov: true, act: "1.0"}}
data: {path: data.safetensors}
train: {threads: 2}
strategy: {data_parallel: 3}
)";

// A file of the user's machine: what the coordinator would refuse.
bool names_local_files(const v1::JobSpec& spec) {
  for (const ArtifactName& artifact : artifacts(spec)) {
    if (!digest::is_digest(artifact.name)) return true;
  }
  const std::string& path = spec.data().path();
  return spec.data().dataset() == "tensors" && !path.empty() && path[0] != '/' && !digest::is_digest(path);
}

void expect_sane(const std::string& text) {
  const auto spec = parse_job(text);
  if (!spec.ok()) {
    EXPECT_FALSE(spec.status().message().empty()) << text;
    return;
  }
  EXPECT_TRUE(names_local_files(*spec) || validate(*spec).ok()) << text << validate(*spec);
  const auto again = parse_job(to_json(*spec));
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text << "\n" << to_json(*spec);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*spec, *again)) << text;
}

TEST(JobSpecFuzz, BytesChanged) {
  std::mt19937 random(1);
  const std::string letters = "{}[]:,-#&*!|>'\"%@`?\n\t 0159.eax\x01\xff\xc3~";
  const char* const seeds[] = {kSeed, kGraph, kScript};
  for (int round = 0; round < 24000; ++round) {
    std::string text = seeds[round % 3];
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = letters[random() % letters.size()];
          break;
        case 1:
          text.insert(at, 1, letters[random() % letters.size()]);
          break;
        default:
          text.erase(at, 1 + random() % 8);
      }
      if (text.empty()) text = " ";
    }
    expect_sane(text);
  }
}

// Every field takes every odd value without harm.
TEST(JobSpecFuzz, OddValuesInEveryField) {
  const char* const odd[] = {"-1",
                             "0",
                             "1",
                             "2",
                             "1e400",
                             "-1e308",
                             "nan",
                             ".inf",
                             "null",
                             "~",
                             "''",
                             "{}",
                             "[]",
                             "[[1]]",
                             "[1, {a: b}]",
                             "{a: 1}",
                             "true",
                             "9223372036854775807",
                             "-9223372036854775808",
                             "18446744073709551616",
                             "0x10",
                             "\"\\u0000\"",
                             "!!binary aGk=",
                             "&a [*a]",
                             "&x 1",
                             "*y"};
  for (const Field& field : fields()) {
    for (const char* value : odd) {
      std::string text(value);
      for (absl::string_view path = field.path; !path.empty();) {
        const size_t dot = path.rfind('.');
        const absl::string_view key = dot == path.npos ? path : path.substr(dot + 1);
        text = "{" + std::string(key) + ": " + text + "}";
        path = dot == path.npos ? absl::string_view() : path.substr(0, dot);
      }
      expect_sane(text);
    }
  }
}

TEST(JobSpecFuzz, DeepAndWideFiles) {
  expect_sane(std::string(100000, '['));
  expect_sane(std::string(100000, '{'));
  expect_sane("name: " + std::string(500000, 'x'));
  std::string aliases = "a: &a [1]\n";  // each line doubles what a naive reader would walk
  for (char c = 'b'; c < 'z'; ++c)
    aliases += std::string(1, c) + ": &" + c + " [*" + char(c - 1) + ", *" + char(c - 1) + "]\n";
  expect_sane(aliases);
  std::string keys;
  for (int i = 0; i < 20000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  expect_sane(keys);
}

}  // namespace
}  // namespace ds::spec

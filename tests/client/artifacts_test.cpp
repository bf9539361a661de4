// Local files that a job names: uploaded once, their digests in their place; and what is said of those that cannot be.
#include "client/artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/transfers.h"
#include "proto/digest/digest.h"
#include "proto/spec/job_spec.h"
#include "tests/client/fake_coordinator.h"
#include "tests/client/run_dsctl.h"

namespace ds::client {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string name_of(const std::string& text) {
  digest::Sha256 sha;
  sha.update(text);
  return sha.finish();
}

class ArtifactsTest : public ::testing::Test {
 protected:
  Outcome run(const std::string& arguments) {
    return run_shell("DS_STATE_DIR=" + folder_.path() + "/state DS_COORDINATOR=" + coordinator_.address(),
                     "cd " + folder_.path() + "; timeout 60 " DSCTL " " + arguments);
  }
  json run_json(const std::string& arguments) {
    const Outcome outcome = run(arguments + " -o json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "") << "no terminal, no bar";
    return json::parse(outcome.out, nullptr, false);
  }
  Client client() {
    ClientOptions options;
    options.address = coordinator_.address();
    return Client(options);
  }

  TemporaryFolder folder_;
  FakeCoordinator coordinator_;
  const std::string big_ = std::string(3 << 20, 'a') + "z";
};

TEST_F(ArtifactsTest, SubmitUploadsGraphAndTensorsFromTheJobFilesFolder) {
  folder_.write("model.safetensors", "graph");
  folder_.write("data.safetensors", big_);
  const std::string file = folder_.write(
      "job.yaml", "name: g\nmodel: {graph: model.safetensors}\ndata: {dataset: tensors, path: ./data.safetensors}\n");
  EXPECT_EQ(run_json("job submit " + file)["id"], "j-1");
  const v1::JobSpec spec = coordinator_.job("j-1").spec();
  EXPECT_EQ(spec.model().graph(), name_of("graph"));
  EXPECT_EQ(spec.data().path(), name_of(big_));
  EXPECT_EQ(coordinator_.artifacts().at(name_of("graph")), "graph");
  EXPECT_TRUE(coordinator_.artifacts().at(name_of(big_)) == big_);
  const int64_t sent = coordinator_.artifact_bytes();
  EXPECT_EQ(run_json("job submit " + file)["id"], "j-2");
  EXPECT_EQ(coordinator_.artifact_bytes(), sent) << "what is there is not sent again";
  EXPECT_TRUE(spec::validate(spec).ok()) << spec::validate(spec);
}

TEST_F(ArtifactsTest, AScriptAndItsShowing) {
  folder_.write("train.py", "print(1)\n");
  const std::string file = folder_.write("job.yaml", "name: s\nmodel: {script: train.py, args: [--epochs, 3]}\n");
  EXPECT_EQ(run_json("job submit " + file)["id"], "j-1");
  v1::Job job = coordinator_.job("j-1");
  *job.mutable_spec() = coordinator_.job("j-1").spec();
  job.set_state(v1::SUCCEEDED);
  coordinator_.put(job);
  const json shown = run_json("job get j-1");
  EXPECT_EQ(shown["spec"]["model"], json({{"script", name_of("print(1)\n")}, {"args", {"--epochs", "3"}}}));
  EXPECT_FALSE(shown["spec"].contains("train")) << "no defaults without meaning";
  EXPECT_TRUE(shown["metrics"]["test_accuracy"].is_null());
  EXPECT_THAT(run("job get j-1").out, HasSubstr("script " + digest::brief(name_of("print(1)\n")) + " --epochs 3\n"));
  EXPECT_EQ(run_json("job result j-1")["state"], "SUCCEEDED");
}

TEST_F(ArtifactsTest, WhatIsNotHereIsNamedWithItsField) {
  const Outcome graph = run("job submit " + folder_.write("a.yaml",
                                                          "name: g\nmodel: {graph: none.safetensors}\n"
                                                          "data: {dataset: fashion_mnist}\n"));
  EXPECT_EQ(graph.code, 2);
  EXPECT_THAT(graph.err, HasSubstr("model.graph: cannot read " + folder_.path() + "/none.safetensors"));
  folder_.write("model.safetensors", "graph");
  const std::string begin = "name: g\nmodel: {graph: model.safetensors}\ndata: {dataset: tensors, path: ";
  const Outcome data = run("job submit " + folder_.write("b.yaml", begin + "none.safetensors}\n"));
  EXPECT_EQ(data.code, 2);
  EXPECT_THAT(data.err, HasSubstr("data.path: there is no file " + folder_.path() + "/none.safetensors"));
  EXPECT_EQ(coordinator_.submits(), 0);
  EXPECT_EQ(run("job submit " + folder_.write("c.yaml", begin + "/only/workers/have/it}\n")).code, 0);
  EXPECT_EQ(coordinator_.job("j-1").spec().data().path(), "/only/workers/have/it");
}

TEST_F(ArtifactsTest, DigestsAndOtherPathsStayAsTheyAre) {
  Client client = this->client();
  auto spec = *spec::parse_job("{name: a, model: {graph: '" + name_of("x") + "'}, data: {dataset: tensors, path: '" +
                               name_of("y") + "'}}");
  ASSERT_TRUE(resolve_artifacts(client, spec, "/nowhere").ok());
  EXPECT_EQ(spec.model().graph(), name_of("x"));
  EXPECT_EQ(spec.data().path(), name_of("y"));
  spec = *spec::parse_job("{name: a, model: {family: mlp}, data: {dataset: fashion_mnist, path: idx}}");
  ASSERT_TRUE(resolve_artifacts(client, spec, "/there").ok());
  EXPECT_EQ(spec.data().path(), "/there/idx");
  spec = *spec::parse_job("{name: a, model: {family: mlp}, data: {dataset: fashion_mnist}}");
  ASSERT_TRUE(resolve_artifacts(client, spec, "/there").ok());
  EXPECT_EQ(spec.data().path(), "");
  EXPECT_TRUE(coordinator_.artifacts().empty());
}

TEST_F(ArtifactsTest, ABrokenUploadIsSentAgainAndTellsHowFarItIs) {
  const std::string file = folder_.write("big", big_);
  coordinator_.break_transfers(2, 1 << 20);
  std::map<Transfer::Phase, int64_t> most;
  Client client = this->client();
  const auto digest = client.upload(file, [&](const Transfer& t) {
    EXPECT_EQ(t.path, file);
    EXPECT_LE(t.done, t.total);
    most[t.phase] = std::max(most[t.phase], t.done);
  });
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, name_of(big_));
  EXPECT_EQ(most[Transfer::kHashing], static_cast<int64_t>(big_.size()));
  EXPECT_EQ(most[Transfer::kUploading], static_cast<int64_t>(big_.size()));
}

TEST_F(ArtifactsTest, AnUploadIsStoppedFromAnotherThread) {
  const std::string file = folder_.write("big", big_);
  coordinator_.break_transfers(1 << 20, 1 << 20);  // it would try on for a minute
  Client client = this->client();
  bool stopped = false;
  const auto digest = client.upload(file, [&](const Transfer& t) {
    if (t.phase == Transfer::kUploading && !std::exchange(stopped, true))
      std::thread([&] { client.stop_streams(); }).join();
  });
  EXPECT_TRUE(absl::IsCancelled(digest.status())) << digest.status();
}

TEST_F(ArtifactsTest, NoCoordinatorIsSaid) {
  const std::string file = folder_.write("big", big_);
  coordinator_.stop();
  Client client = this->client();
  const auto digest = client.upload(file);
  EXPECT_TRUE(absl::IsUnavailable(digest.status())) << digest.status();
  EXPECT_THAT(std::string(digest.status().message()), HasSubstr("no coordinator at " + coordinator_.address()));
}

TEST_F(ArtifactsTest, PutListAndGet) {
  folder_.write("big", big_);
  EXPECT_EQ(run_json("artifact put big")["digest"], name_of(big_));
  const json list = run_json("artifact list");
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["digest"], name_of(big_));
  EXPECT_EQ(list[0]["size"], big_.size());
  EXPECT_EQ(run("artifact list -o name").out, name_of(big_) + "\n");
  coordinator_.break_transfers(2, 1 << 20);
  EXPECT_EQ(run_json("artifact get " + name_of(big_).substr(7, 8) + " copy")["path"], "copy");
  EXPECT_TRUE(read_text(folder_.path() + "/copy") == big_);
  EXPECT_EQ(run("artifact get 0000").code, 3);
  EXPECT_EQ(run("artifact get " + name_of("?") + " x").code, 3);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/x"));
  EXPECT_EQ(run("artifact put nothing").code, 2);
}

TEST_F(ArtifactsTest, ADownloadThatIsNotWhatItsNameSaysIsNotKept) {
  folder_.write("a", "hello");
  Client client = this->client();
  const std::string digest = *client.upload(folder_.path() + "/a");
  coordinator_.spoil(digest);
  const absl::Status status = client.download(digest, folder_.path() + "/copy");
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/copy"));
}

TEST(Transfers, SayHowFarAFileIs) {
  EXPECT_EQ(transfer_line({"/a/model.safetensors", Transfer::kUploading, 1 << 20, 4 << 20}),
            "uploading model.safetensors  25%  1.0 of 4.0 MiB");
  EXPECT_EQ(transfer_line({"empty", Transfer::kHashing, 0, 0}), "reading empty 100%  0.0 of 0.0 MiB");
}

}  // namespace
}  // namespace ds::client

// The size of a model in closed form (proto/spec) against what an executor traces of the model that it builds.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_spec.h"

namespace ds::worker {
namespace {

namespace fs = std::filesystem;

class Sizes : public ::testing::Test {
 protected:
  Sizes() : folder_((fs::temp_directory_path() / "ds-size-test-XXXXXX").string()) {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    std::ofstream(folder_ + "/tokens.u16", std::ios::binary) << std::string(1 << 16, '\0');
  }
  ~Sizes() override { fs::remove_all(folder_); }

  v1::ModelProfile traced(const v1::JobSpec& spec) {
    v1::StartRank start;
    start.set_job("size");
    start.set_ranks(1);
    *start.mutable_spec() = spec;
    const std::string question = folder_ + "/start", answer = folder_ + "/answer";
    std::ofstream(question, std::ios::binary) << start.SerializeAsString();
    const int status = std::system((DS_EXECUTOR " --job-file " + question + " --profile " + answer).c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    v1::ProfileResult result;
    std::ifstream file(answer, std::ios::binary);
    EXPECT_TRUE(result.ParseFromIstream(&file));
    EXPECT_EQ(result.error(), "");
    return result.profile();
  }

  void expect_equal(const std::string& model, const std::string& data) {
    const auto job = spec::parse_job("name: size\nmodel: " + model + "\ndata: " + data + "\ntrain: {batch_size: 1}\n");
    ASSERT_TRUE(job.ok()) << job.status() << model;
    const auto size = spec::model_size(*job);
    ASSERT_TRUE(size.has_value()) << model;
    const v1::ModelProfile profile = traced(*job);
    EXPECT_EQ(size->params, static_cast<double>(profile.parameters())) << model;
    EXPECT_EQ(size->flops, profile.forward_flops()) << model;
  }

  std::string folder_;
};

TEST_F(Sizes, OfMlps) {
  for (const char* model :
       {"hidden: [512, 256]", "hidden: [1]", "hidden: [10]", "hidden: [64]", "hidden: [65]", "hidden: [7, 13, 5]",
        "hidden: [256], depth: 1", "hidden: [256], depth: 6", "hidden: [256, 128], depth: 1",
        "hidden: [256, 128], depth: 2", "hidden: [256, 128], depth: 5", "hidden: [1000, 1000, 1000]"})
    expect_equal("{family: mlp, " + std::string(model) + "}", "{dataset: fashion_mnist}");
}

TEST_F(Sizes, OfCnns) {
  for (const char* model :
       {"channels: [32, 64]", "channels: [1]", "channels: [8]", "channels: [16]", "channels: [33]", "channels: [8, 8]",
        "channels: [5, 7, 9]", "channels: [4, 8, 16, 32]", "channels: [8], depth: 3", "channels: [8], depth: 4",
        "channels: [16, 24], depth: 1", "channels: [16, 24], depth: 3"})
    expect_equal("{family: cnn, " + std::string(model) + "}", "{dataset: fashion_mnist}");
}

TEST_F(Sizes, OfGpts) {
  for (const char* model : {"layers: 4, heads: 4, width: 128, context: 128, vocab: 256",
                            "layers: 1, heads: 1, width: 8, context: 4, vocab: 2",
                            "layers: 2, heads: 1, width: 32, context: 16, vocab: 100",
                            "layers: 2, heads: 2, width: 32, context: 16, vocab: 100",
                            "layers: 2, heads: 8, width: 64, context: 32, vocab: 1000",
                            "layers: 3, heads: 3, width: 48, context: 7, vocab: 77",
                            "layers: 6, heads: 6, width: 96, context: 64, vocab: 512",
                            "layers: 1, heads: 4, width: 256, context: 256, vocab: 50",
                            "layers: 12, heads: 2, width: 16, context: 8, vocab: 300",
                            "layers: 1, heads: 5, width: 35, context: 33, vocab: 31",
                            "layers: 2, heads: 2, width: 130, context: 3, vocab: 5",
                            "layers: 8, heads: 8, width: 128, context: 100, vocab: 5000"})
    expect_equal("{family: gpt, " + std::string(model) + "}", "{dataset: tokens, path: '" + folder_ + "/tokens.u16'}");
}

}  // namespace
}  // namespace ds::worker

// The files that dsctl plan reads, and what it says of wrong ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "client/planning/inputs.h"
#include "client/planning/report.h"
#include "client/planning/scaling.h"

namespace ds::client {
namespace {

using ::testing::HasSubstr;

class Files : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(::testing::TempDir()) / name;
    std::ofstream(path) << text;
    return path.string();
  }
};

constexpr char kLlama[] =
    "{\"layers\": 32, \"hidden\": 4096, \"heads\": 32, \"kv_heads\": 8, \"ffn\": 14336, \"vocab\": 128256, "
    "\"sequence\": 8192, \"batch\": 128}";

TEST_F(Files, ADescriptionIsYamlOrJson) {
  auto m = read_model(write("llama.json", kLlama));
  ASSERT_TRUE(m.ok()) << m.status();
  EXPECT_NEAR(m->parameters(), 8.03e9, 0.01e9);
  EXPECT_TRUE(m->gated);
  auto gpt =
      read_model(write("gpt.yaml", "layers: 96\nhidden: 12288\nheads: 96\nvocab: 51200\nsequence: 2048\nbatch: 64\n"));
  ASSERT_TRUE(gpt.ok()) << gpt.status();
  EXPECT_NEAR(gpt->parameters(), 174.6e9, 0.5e9);
}

TEST_F(Files, AGptJobIsAModel) {
  auto m =
      read_model(write("job.yaml",
                       "name: small\nmodel: {family: gpt, layers: 6, heads: 8, width: 512, context: 256, vocab: 1000}\n"
                       "data: {dataset: tokens, path: /data/tokens}\ntrain: {batch_size: 32}\n"));
  ASSERT_TRUE(m.ok()) << m.status();
  EXPECT_EQ(m->hidden, 512);
  EXPECT_EQ(m->ffn, 2048);
  EXPECT_EQ(m->batch, 32);
}

TEST_F(Files, AWrongDescriptionNamesTheKey) {
  EXPECT_THAT(std::string(read_model(write("a.yaml", "layers: 4\nhiden: 64\n")).status().message()),
              HasSubstr("a.yaml: hiden: unknown key; did you mean hidden?"));
  EXPECT_THAT(std::string(read_model(write("b.yaml", "layers: four\n")).status().message()),
              HasSubstr("layers must be a whole number, got \"four\""));
  EXPECT_THAT(
      std::string(read_model(write("c.yaml", "layers: 4\nhidden: 64\nheads: 0\nvocab: 9\nsequence: 8\nbatch: 1\n"))
                      .status()
                      .message()),
      HasSubstr("heads must be >= 1, got 0"));
  EXPECT_THAT(std::string(read_model("gpt-1T").status().message()), HasSubstr("did you mean gpt-1t?"));
}

TEST_F(Files, AClusterFileBuildsOnAPreset) {
  auto c = read_cluster(write("mixed.yaml",
                              "preset: eos\nnodes:\n  - {device: h100-80gb, count: 4}\n"
                              "  - {device: {preset: a100-80gb, memory_gib: 40}, count: 4, nic_gbps: 100}\n"
                              "network: {oversubscription: 2}\nsoftware: megatron-2022\n"));
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->devices(), 64);
  EXPECT_DOUBLE_EQ(c->groups[1].device.memory, 40.0 * 1024 * 1024 * 1024);
  EXPECT_DOUBLE_EQ(c->groups[1].nic_bandwidth, 100e9);
  EXPECT_FALSE(c->software.flash_attention);
}

TEST_F(Files, AClusterFileWithATypoNamesIt) {
  EXPECT_THAT(
      std::string(read_cluster(write("d.yaml", "nodes:\n  - {device: h100-80gb, cuont: 4}\n")).status().message()),
      HasSubstr("d.yaml: nodes[0]: cuont: unknown key; did you mean count?"));
  EXPECT_THAT(std::string(read_cluster(write("e.yaml", "netwrk: {}\n")).status().message()),
              HasSubstr("e.yaml: netwrk: unknown key; did you mean network?"));
  EXPECT_THAT(std::string(read_cluster(write("f.yaml", "nodes:\n  - {device: h900}\n")).status().message()),
              HasSubstr("no device \"h900\"; there are a100-80gb"));
  EXPECT_THAT(std::string(read_cluster("selen").status().message()), HasSubstr("did you mean selene?"));
  EXPECT_THAT(std::string(read_cluster(write("g.yaml", "nodes: [\n")).status().message()), HasSubstr("g.yaml: line"));
}

TEST(WishText, IsReadAndItsErrorsAreNamed) {
  auto wish =
      parse_wish("tensor_parallel=8, pipeline_parallel=4,data_parallel=16,schedule=1f1b,interleave=3,recompute=full");
  ASSERT_TRUE(wish.ok()) << wish.status();
  const auto layout = whole_layout(*wish);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->schedule, plan::Schedule::kInterleaved);
  EXPECT_EQ(layout->devices(), 512);
  EXPECT_FALSE(whole_layout(*parse_wish("tensor_parallel=8")).has_value());
  EXPECT_EQ(parse_wish("tensor_paralel=8").status().message(),
            "--fix: tensor_paralel: unknown key; did you mean tensor_parallel?");
  EXPECT_EQ(parse_wish("zero=two").status().message(), "--fix: zero must be a whole number, got \"two\"");
  EXPECT_THAT(std::string(parse_wish("schedule=2f2b").status().message()), HasSubstr("must be one of gpipe, 1f1b"));
}

TEST(Report, HasTheFieldsThatAreDocumented) {
  const plan::Cluster cluster = *plan::with_devices(*plan::preset("selene"), 64, true);
  auto model = known_model("gpt-175b");
  auto answer = plan::search(cluster, *model, {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto& plan = std::get<plan::Plan>(*answer);
  const Json d = plan_document(cluster, *model, plan, 300e9);
  for (const char* key : {"layout", "step_seconds", "parts", "model_tflops_per_device", "hardware_tflops_per_device",
                          "mfu", "hfu", "tokens_per_second", "stages", "alternatives"}) {
    EXPECT_TRUE(d.contains(key)) << key;
  }
  double sum = 0;
  for (const auto& [name, seconds] : d["parts"].items()) sum += seconds.get<double>();
  EXPECT_NEAR(sum, d["step_seconds"].get<double>(), 1e-9);
  const Json& memory = d["stages"][0]["memory"];
  EXPECT_NEAR(memory["weights"].get<double>() + memory["gradients"].get<double>() + memory["optimizer"].get<double>() +
                  memory["activations"].get<double>() + memory["other"].get<double>(),
              memory["total"].get<double>(), 1);
  EXPECT_FALSE(d["alternatives"].empty());
  EXPECT_THAT(plan_text(d, plan), HasSubstr("runners-up"));
}

// Runs dsctl: what it printed, and its exit code.
std::pair<Json, int> dsctl(const std::string& arguments) {
  FILE* pipe = popen((std::string(DSCTL) + " " + arguments + " -o json 2>/dev/null").c_str(), "r");
  std::string text;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text += static_cast<char>(c);
  const int status = pclose(pipe);
  return {Json::parse(text, nullptr, false), WEXITSTATUS(status)};
}

TEST(Dsctl, PlansAndRefusesWithoutACoordinator) {
  const std::string layout = "tensor_parallel=8,pipeline_parallel=4,data_parallel=16,micro_batch=2,schedule=1f1b,";
  const auto [plan, planned] =
      dsctl("plan gpt-22b --cluster selene --fix " + layout + "interleave=1,recompute=full,zero=0");
  EXPECT_EQ(planned, 0);
  EXPECT_EQ(plan["layout"]["data_parallel"], 16);
  EXPECT_EQ(plan["stages"].size(), 4U);
  const auto [no, refused] = dsctl("plan gpt-1t --cluster selene --fix " + layout + "recompute=full,zero=0");
  EXPECT_EQ(refused, 3);
  EXPECT_GT(no["infeasible"]["needed_bytes"].get<double>(), no["infeasible"]["available_bytes"].get<double>());
  EXPECT_TRUE(no["infeasible"]["nearest"].is_object());
  EXPECT_EQ(dsctl("plan gpt-22b --devices 7 --fix tensor_parallel=8").second, 2);
  const auto [rows, validated] = dsctl("sim validate --data /nonexistent");
  EXPECT_EQ(validated, 0);
  EXPECT_GE(rows.size(), 8U);
  EXPECT_EQ(dsctl("sim goodput --mttf 7.9h --ranks 1024 --checkpoint-every 10m").second, 0);
  EXPECT_EQ(dsctl("sim goodput --mttf soon").second, 2);
}

constexpr char kMlp[] =
    "name: small\nmodel: {family: mlp, hidden: [512, 256]}\ndata: {dataset: fashion_mnist}\n"
    "train: {epochs: 1, batch_size: 128, optimizer: {name: adamw, lr: 0.001}}\n";

TEST_F(Files, AnotherJobIsTracedAndPlannedOnThisMachinesSlots) {
  const std::string job = write("mlp.yaml", kMlp);
  const auto [plan, planned] = dsctl("plan " + job + " --devices 1");
  ASSERT_EQ(planned, 0);
  EXPECT_EQ(plan["model"]["parameters"], 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10);
  EXPECT_EQ(plan["layout"]["data_parallel"], 1);
  double step = 0;
  for (const Json& part : plan["parts"]) step += part.get<double>();
  EXPECT_GT(step, 0);
  EXPECT_NEAR(plan["step_seconds"].get<double>(), step, 1e-9 * step);
  EXPECT_EQ(plan["stages"][0]["memory"]["optimizer"], 2 * plan["stages"][0]["memory"]["weights"].get<double>());
}

TEST_F(Files, AJobThatCannotBePlannedHereIsRefused) {
  const std::string job = write("mlp.yaml", kMlp);
  EXPECT_EQ(dsctl("plan " + job + " --devices 100000").second, 2) << "more slots than cores";
  EXPECT_EQ(dsctl("plan " + job + " --cluster selene").second, 2) << "it is planned on this machine";
  EXPECT_EQ(dsctl("plan " + write("script.yaml", "name: s\nmodel: {script: train.py}\n")).second, 2);
  EXPECT_EQ(dsctl("plan " + write("typo.yaml", "name: s\nmodel: {family: mpl}\n")).second, 2);
  EXPECT_EQ(dsctl("plan " + write("graph.yaml",
                                  "name: g\nmodel: {graph: nowhere.safetensors}\ndata: {dataset: tensors, path: "
                                  "nowhere.safetensors}\ntrain: {batch_size: 8}\n"))
                .second,
            2);
}

TEST(Scale, FollowsTheRuleThatFits) {
  auto model = known_model("gpt-22b");
  const plan::Cluster eos = *plan::preset("eos");
  auto strong = scale({*model, eos, 64, 256, false});
  ASSERT_TRUE(strong.ok()) << strong.status();
  ASSERT_EQ(strong->points.size(), 3U);
  EXPECT_EQ(strong->points[2].model.batch, 512);
  EXPECT_LE(strong->points[2].efficiency, 1.0);
  auto weak = scale({*model, eos, 64, 256, true});
  ASSERT_TRUE(weak.ok()) << weak.status();
  EXPECT_EQ(weak->points[0].model.batch, 128);
  EXPECT_GT(weak->points[2].efficiency, strong->points[2].efficiency - 0.02);
  EXPECT_THAT(scaling_svg(*weak), HasSubstr("</svg>"));
  auto large = scale({*known_model("gpt-1t"), eos, 64, 1024, true});
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_EQ(large->points[0].model.layers, 8);
  EXPECT_THAT(large->rule, HasSubstr("layers grow"));
}

}  // namespace
}  // namespace ds::client

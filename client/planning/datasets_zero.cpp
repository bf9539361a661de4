// nanotron, MosaicML's MPT and torchtitan: ZeRO and FSDP, reported. H100's GEMM efficiency was set on the MPT rows.
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/planning/datasets.h"

namespace ds::client {
namespace {

using plan::Layout;
using plan::Recompute;
using plan::Transformer;

Transformer llama_of(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads, int64_t ffn, int64_t vocab,
                     int64_t sequence, int64_t batch, bool tied) {
  Transformer m = gpt_of(layers, hidden, heads, vocab, sequence, batch);
  m.kv_heads = kv_heads, m.ffn = ffn, m.gated = true, m.tied = tied;
  return m;
}

// The benchmark's models, from their parameter counts: vocabulary 131,072, sequence 4,096.
DataSet nanotron() {
  DataSet set{"nanotron", "huggingface/nanotron, best of each model and size, H100", "reported", {}, {}};
  const Table t = table_of("nanotron_best_configs_h100");
  for (size_t i = 0; i < t.rows(); ++i) {
    const std::string& size = t.text(i, "params_B");
    const int64_t batch = t.whole(i, "gbs_seqs");
    Transformer m = llama_of(16, 2048, 32, 32, 8192, 131072, 4096, batch, true);
    if (size == "3.57") m = llama_of(28, 3072, 24, 24, 8192, 131072, 4096, batch, true);
    if (size == "8.86") m = llama_of(32, 4096, 32, 32, 14336, 131072, 4096, batch, false);
    if (size == "80.0") m = llama_of(80, 8192, 64, 64, 28672, 131072, 4096, batch, false);
    Layout l;
    l.tensor = static_cast<int>(t.whole(i, "tp")), l.pipeline = static_cast<int>(t.whole(i, "pp"));
    l.data = static_cast<int>(t.whole(i, "dp")), l.micro_batch = static_cast<int>(t.whole(i, "mbs"));
    l.zero = static_cast<int>(t.whole(i, "zero"));
    l.sequence_parallel = l.tensor > 1;
    const double seconds = plan::model_flops(m) / (t.number(i, "mfu_pct") / 100 * 989.4e12 * l.devices());
    set.points.push_back(
        predict(absl::StrCat(size, "B on ", l.devices()), cluster_of("eos", l.devices(), "plain"), m, l, seconds));
  }
  return set;
}

DataSet mpt(const std::string& gpu, const std::string& cluster) {
  DataSet set{"mpt-fsdp-" + gpu.substr(0, 4), "mosaicml/llm-foundry benchmarks", "reported", {}, {}};
  if (gpu[0] == 'h') set.judged = "reported; H100's GEMM efficiency is set here";
  const Table t = table_of("mpt_llmfoundry_fsdp");
  const std::map<std::string, std::array<int64_t, 3>> sizes = {{"1b", {24, 2048, 16}},  {"3b", {32, 2560, 20}},
                                                               {"7b", {32, 4096, 32}},  {"13b", {40, 5120, 40}},
                                                               {"30b", {48, 7168, 56}}, {"70b", {80, 8192, 64}}};
  for (size_t i = 0; i < t.rows(); ++i) {
    if (t.text(i, "gpu") != gpu) continue;
    const auto& [layers, hidden, heads] = sizes.at(t.text(i, "model"));
    const Transformer m = gpt_of(layers, hidden, heads, 50368, t.whole(i, "seq"), t.whole(i, "global_batch"));
    Layout l;
    l.data = static_cast<int>(t.whole(i, "gpus")), l.micro_batch = static_cast<int>(t.whole(i, "micro_batch"));
    l.zero = t.text(i, "sharding") == "FULL_SHARD" ? 3 : 2;
    l.recompute = t.text(i, "recompute") == "True" ? Recompute::kFull : Recompute::kNone;
    const double tokens = static_cast<double>(m.batch) * static_cast<double>(m.sequence);
    set.points.push_back(predict(absl::StrCat(t.text(i, "model"), " s", m.sequence, " on ", l.data),
                                 cluster_of(cluster, l.data, "plain"), m, l, tokens / t.number(i, "tokens_per_s")));
  }
  return set;
}

// "FSDP32 TP8": degrees.
Layout torchtitan_layout(const std::string& text) {
  Layout l;
  l.zero = 3;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ' '))) {
    const bool tensor = part.rfind("TP", 0) == 0;
    int degree = 1;
    if (!absl::SimpleAtoi(part.substr(tensor ? 2 : 4), &degree)) continue;
    (tensor ? l.tensor : l.data) = degree;
  }
  l.sequence_parallel = l.tensor > 1;
  return l;
}

DataSet torchtitan() {
  DataSet set{"torchtitan", "pytorch/torchtitan performance pages, bf16, H100", "reported", {}, {}};
  const Table t = table_of("torchtitan_llama3_h100");
  for (size_t i = 0; i < t.rows(); ++i) {
    Layout l = torchtitan_layout(t.text(i, "parallelism"));
    l.micro_batch = static_cast<int>(t.whole(i, "local_batch"));
    const int64_t batch = l.micro_batch * l.data;
    const bool large = t.text(i, "model") == "70B";
    const Transformer m = large ? llama_of(80, 8192, 64, 8, 28672, 128256, 8192, batch, false)
                                : llama_of(32, 4096, 32, 8, 14336, 128256, 8192, batch, false);
    l.recompute = large || l.tensor > 1 ? Recompute::kFull : Recompute::kNone;
    const double seconds = static_cast<double>(batch) * 8192 / (t.number(i, "tokens_per_s_per_gpu") * l.devices());
    set.points.push_back(
        predict(absl::StrCat(t.text(i, "model"), " ", t.text(i, "parallelism"), " ", t.text(i, "technique")),
                cluster_of("eos", l.devices(), "plain"), m, l, seconds));
  }
  return set;
}

}  // namespace

void add_zero_sets(std::vector<DataSet>* sets) {
  sets->push_back(mpt("h100_80gb", "eos"));
  sets->push_back(mpt("a100_80gb", "selene"));
  sets->push_back(nanotron());
  sets->push_back(torchtitan());
}

}  // namespace ds::client

// Korthikanti et al. (arXiv 2205.05198), MegaScale (arXiv 2402.15627), Megatron-Core r0.8.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/planning/datasets.h"
#include "scheduler/plan/plan.h"

namespace ds::client {
namespace {

using plan::Layout;
using plan::Recompute;
using plan::Schedule;
using plan::Transformer;

Layout layout_of(int64_t tensor, int64_t pipeline, int64_t data, int64_t interleave) {
  Layout l;
  l.tensor = static_cast<int>(tensor), l.pipeline = static_cast<int>(pipeline), l.data = static_cast<int>(data);
  l.interleave = static_cast<int>(interleave);
  l.schedule = interleave > 1 ? Schedule::kInterleaved : Schedule::kOneFOneB;
  return l;
}

DataSet korthikanti() {
  DataSet set{"korthikanti-table5", "arXiv 2205.05198, table 5", "mean <= 3.5 %, max <= 8 %", {}, {}};
  const Table t = table_of("korthikanti_table3_5_a100");
  for (size_t i = 0; i < t.rows(); ++i) {
    for (bool selective : {false, true}) {
      const double seconds = t.number(i, selective ? "iter_s_selective_SP" : "iter_s_full_recompute_noSP");
      if (seconds == 0) continue;
      Layout l = layout_of(t.whole(i, "TP"), t.whole(i, "PP"), t.whole(i, "DP"), t.whole(i, "interleave_m"));
      l.micro_batch = static_cast<int>(t.whole(i, "microbatch"));
      l.recompute = selective ? Recompute::kSelective : Recompute::kFull;
      l.sequence_parallel = selective;
      const Transformer m = gpt_of(t.whole(i, "layers"), t.whole(i, "hidden"), t.whole(i, "heads"), t.whole(i, "vocab"),
                                   t.whole(i, "seq"), t.whole(i, "global_batch"));
      set.points.push_back(predict(t.text(i, "model") + (selective ? " selective" : " full"),
                                   cluster_of("selene", l.devices()), m, l, seconds));
    }
  }
  return set;
}

// Figure 1 counts the layers of the first stage alone.
DataSet korthikanti_memory() {
  DataSet set{"korthikanti-activations", "arXiv 2205.05198, figure 1", "mean <= 2 %", {}, {}};
  const Table times = table_of("korthikanti_table3_5_a100"), t = table_of("korthikanti_fig1_memory_GiB");
  const plan::Cluster cluster = cluster_of("selene", 8);
  for (size_t i = 0; i < t.rows(); ++i) {
    const Transformer m = gpt_of(times.whole(i, "layers"), times.whole(i, "hidden"), times.whole(i, "heads"),
                                 times.whole(i, "vocab"), times.whole(i, "seq"), times.whole(i, "global_batch"));
    for (bool selective : {false, true}) {
      Layout l = layout_of(8, times.whole(i, "PP"), 1, times.whole(i, "interleave_m"));
      l.micro_batch = static_cast<int>(times.whole(i, "microbatch"));
      l.recompute = selective ? Recompute::kSelective : Recompute::kNone;
      l.sequence_parallel = selective;
      Point p;
      p.label = t.text(i, "model") + (selective ? " selective" : " none");
      p.predicted = plan::layers_of(m, l, 0) * plan::in_flight(m, l, 0) *
                    plan::layer_activation_bytes(m, l, cluster.software) / (1024.0 * 1024 * 1024);
      p.measured = t.number(i, selective ? "activations_SP_selective_GiB" : "activations_TP_only_GiB");
      set.points.push_back(p);
    }
  }
  return set;
}

// The paper names neither micro-batch nor recomputation: 1, and what the paper it builds on recommends.
Layout megascale_layout(int64_t pipeline, int64_t data, int64_t interleave) {
  Layout l = layout_of(8, pipeline, data, interleave);
  l.recompute = Recompute::kSelective;
  l.sequence_parallel = true;
  return l;
}

DataSet megascale() {
  DataSet set{"megascale-megatron-lm", "arXiv 2402.15627, table 2, the Megatron-LM rows", "mean <= 10 %", {}, {}};
  const Table t = table_of("megascale_table2_a100_strong");
  for (size_t i = 0; i < t.rows(); ++i) {
    if (t.text(i, "system") != "Megatron-LM") continue;
    const int64_t gpus = t.whole(i, "gpus");
    const Layout l = megascale_layout(8, gpus / 64, t.whole(i, "interleave"));
    const Transformer m = gpt_of(96, 12288, t.whole(i, "heads"), 64000, 2048, t.whole(i, "global_batch"));
    set.points.push_back(
        predict(absl::StrCat("175B on ", gpus), cluster_of("selene", l.devices()), m, l, t.number(i, "iter_s")));
  }
  return set;
}

DataSet megascale_530b() {
  DataSet set{"megascale-530b",
              "arXiv 2402.15627, figure 9, Megatron-LM",
              "reported: heads and micro-batch are not given",
              {},
              {}};
  const Table t = table_of("megascale_fig9_530B_weak");
  for (size_t i = 0; i < t.rows(); ++i) {
    const Layout l = megascale_layout(35, t.whole(i, "gpus") / 280, 3);
    const Transformer m = gpt_of(105, 20480, 160, 64000, 2048, t.whole(i, "global_batch"));
    const double mfu = t.number(i, "MFU_MegatronLM_pct") / 100;
    set.points.push_back(predict(absl::StrCat("530B on ", l.devices()), cluster_of("selene", l.devices()), m, l,
                                 plan::model_flops(m) / (mfu * 312e12 * l.devices())));
  }
  return set;
}

// Megatron-Core's tables give TP, PP and DP; micro-batch and interleave are the fastest that fit, as its authors tuned
// them. The distributed optimizer (ZeRO-1), sequence parallelism and no recomputation are in its README.
Point megatron_core(const std::string& label, const Transformer& m, const Layout& given, double tflops) {
  plan::Wish wish;
  wish.tensor = given.tensor, wish.pipeline = given.pipeline, wish.data = given.data, wish.context = 1;
  wish.zero = 1, wish.recompute = Recompute::kNone, wish.sequence_parallel = given.tensor > 1;
  const plan::Cluster cluster = cluster_of("eos", given.devices());
  const double seconds = plan::model_flops(m) / (tflops * 1e12 * given.devices());
  Point best;
  for (Schedule schedule : {Schedule::kOneFOneB, Schedule::kInterleaved}) {
    wish.schedule = schedule;
    auto answer = plan::search(cluster, m, wish, {false, 1});
    if (!answer.ok() || !std::holds_alternative<plan::Plan>(*answer)) continue;
    const plan::Candidate& c = std::get<plan::Plan>(*answer).best;
    if (best.predicted == 0 || c.step.seconds < best.predicted) best = {label, c.step.seconds, seconds, true};
  }
  if (best.predicted == 0) best = {label, plan::step_time(cluster, m, given).seconds, seconds, false};
  return best;
}

DataSet megatron_core_weak() {
  DataSet set{"megatron-core-weak", "NVIDIA/Megatron-LM r0.8 README, H100", "mean <= 8 %", {}, {}};
  const Table t = table_of("mcore_r080_h100_weak_scaling");
  for (size_t i = 0; i < t.rows(); ++i) {
    const Transformer m = gpt_of(t.whole(i, "layers"), t.whole(i, "hidden"), t.whole(i, "heads"), 131072, 4096,
                                 t.whole(i, "global_batch"));
    const Layout l = layout_of(t.whole(i, "TP"), t.whole(i, "PP"), t.whole(i, "DP"), 1);
    set.points.push_back(megatron_core(t.text(i, "params_B") + "B", m, l, t.number(i, "TFLOPs_per_gpu_model")));
  }
  return set;
}

DataSet megatron_core_strong() {
  DataSet set{"megatron-core-strong", "NVIDIA/Megatron-LM r0.8 README, H100, digitised +-0.7 %", "mean <= 8 %", {}, {}};
  const Table t = table_of("mcore_h100_strong_scaling_digitized");
  for (size_t i = 0; i < t.rows(); ++i) {
    const Layout l = layout_of(8, 6, t.whole(i, "gpus") / 48, 1);
    set.points.push_back(megatron_core("177B on " + t.text(i, "gpus"), gpt_of(96, 12288, 96, 131072, 4096, 1152), l,
                                       t.number(i, "TFLOPs_per_gpu_digitized")));
  }
  return set;
}

}  // namespace

void add_megatron_sets(std::vector<DataSet>* sets) {
  for (auto make :
       {korthikanti, korthikanti_memory, megatron_core_weak, megatron_core_strong, megascale, megascale_530b}) {
    sets->push_back(make());
  }
}

}  // namespace ds::client

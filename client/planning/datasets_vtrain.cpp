// VIA-Research/vTrain's measured rows, read from a folder: they are not part of this project.
#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "client/planning/datasets.h"
#include "client/planning/document.h"

namespace ds::client {
namespace {

using plan::Measured;

constexpr int64_t kVocabulary = 51200;  // Megatron's padded GPT-2 vocabulary
constexpr size_t kPart = 10;            // a tenth is calibrated on
constexpr uint64_t kSeed = 2024;

std::vector<Measured> rows_of(const Table& t) {
  std::vector<Measured> rows;
  for (size_t i = 0; i < t.rows(); ++i) {
    Measured row;
    row.model = gpt_of(t.whole(i, "# layers"), t.whole(i, "hidden size"), t.whole(i, "attention heads"), kVocabulary,
                       t.whole(i, "sequence length"), t.whole(i, "global batch"));
    row.layout.tensor = static_cast<int>(t.whole(i, "tensor parallelism"));
    row.layout.data = static_cast<int>(t.whole(i, "data parallelism"));
    row.layout.pipeline = static_cast<int>(t.whole(i, "pipeline parallelism"));
    row.layout.micro_batch = static_cast<int>(t.whole(i, "micro batch"));
    row.layout.recompute = plan::Recompute::kFull;
    row.devices = static_cast<int>(t.whole(i, "# GPUs"));
    row.seconds = t.number(i, "iteration time (ms)") / 1e3;
    rows.push_back(row);
  }
  return rows;
}

// By model, devices and batch: the layouts one would choose between.
std::string group_of(const Measured& row) {
  return absl::StrCat(row.model.layers, "/", row.model.hidden, "/", row.devices, "/", row.model.batch);
}

void add_regrets(const std::vector<Measured>& rows, const std::vector<Point>& points, std::vector<double>* regrets) {
  struct Group {
    double fastest = 1e30, predicted = 1e30, chosen = 0;
    int rows = 0;
  };
  std::map<std::string, Group> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    Group& g = groups[group_of(rows[i])];
    ++g.rows;
    g.fastest = std::min(g.fastest, rows[i].seconds);
    if (points[i].predicted < g.predicted) g.predicted = points[i].predicted, g.chosen = rows[i].seconds;
  }
  for (const auto& [name, g] : groups) {
    if (g.rows > 1) regrets->push_back(g.chosen / g.fastest - 1);
  }
}

Point point_of(const plan::Cluster& base, const Measured& row) {
  return predict(
      absl::StrCat(row.model.hidden, "x", row.model.layers, " TP", row.layout.tensor, " PP", row.layout.pipeline, " DP",
                   row.layout.data, " mb", row.layout.micro_batch, " batch ", row.model.batch),
      *plan::with_devices(base, row.devices, true), row.model, row.layout, row.seconds);
}

}  // namespace

void add_vtrain_sets(const std::string& folder, std::vector<DataSet>* sets, std::vector<std::string>* missing) {
  const plan::Cluster base = cluster_of("a100-800", 512);
  for (bool single : {false, true}) {
    const std::string file = single ? "vtrain_ground_truth_single_node.csv" : "vtrain_ground_truth_multi_node.csv";
    auto text = read_text((std::filesystem::path(folder) / file).string());
    auto table = text.ok() ? Table::parse(*text, file) : absl::StatusOr<Table>(text.status());
    if (!table.ok() || !table->has("iteration time (ms)")) {
      missing->push_back(file);
      continue;
    }
    const std::vector<Measured> rows = rows_of(*table);
    DataSet set{single ? "vtrain-single-node" : "vtrain-multi-node",
                "VIA-Research/vTrain, A100, Megatron-DeepSpeed",
                single ? "mean <= 10 % on nine tenths, calibrated on one; regret <= 8 %"
                       : "mean <= 9 %, rank >= 0.95; regret <= 2 %",
                {},
                {}};
    plan::Cluster cluster = base;
    std::vector<size_t> tenth;
    if (single) {
      tenth = plan::random_part(rows.size(), kPart, kSeed);
      std::vector<Measured> known;
      for (size_t i : tenth) known.push_back(rows[i]);
      cluster = plan::calibrated(base, known);
    }
    std::vector<Measured> judged;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (std::find(tenth.begin(), tenth.end(), i) != tenth.end()) continue;
      judged.push_back(rows[i]);
      set.points.push_back(point_of(cluster, rows[i]));
    }
    add_regrets(judged, set.points, &set.regrets);
    sets->push_back(std::move(set));
  }
}

}  // namespace ds::client

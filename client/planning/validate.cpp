#include "client/planning/validate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "client/planning/datasets.h"
#include "scheduler/plan/plan.h"

namespace ds::client {
namespace {

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) rank[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 1;
}

}  // namespace

plan::Transformer gpt_of(int64_t layers, int64_t hidden, int64_t heads, int64_t vocab, int64_t sequence,
                         int64_t batch) {
  plan::Transformer m;
  m.layers = layers, m.hidden = hidden, m.heads = m.kv_heads = heads, m.ffn = 4 * hidden;
  m.vocab = vocab, m.sequence = sequence, m.batch = batch;
  return m;
}

plan::Cluster cluster_of(const std::string& name, int devices, const std::string& software) {
  plan::Cluster cluster = plan::with_devices(plan::preset(name).value(), devices, true).value();
  if (!software.empty()) cluster.software = plan::software_preset(software).value();
  return cluster;
}

Point predict(const std::string& label, const plan::Cluster& cluster, const plan::Transformer& m,
              const plan::Layout& layout, double measured) {
  auto answer = plan::evaluate(cluster, m, layout);
  const bool fits = answer.ok() && std::holds_alternative<plan::Plan>(*answer);
  return {label, plan::step_time(cluster, m, layout).seconds, measured, fits};
}

std::vector<DataSet> data_sets(const std::string& folder, std::vector<std::string>* missing) {
  std::vector<DataSet> sets;
  add_megatron_sets(&sets);
  add_vtrain_sets(folder, &sets, missing);
  add_zero_sets(&sets);
  add_bubble_sets(&sets);
  return sets;
}

Score score(const std::vector<Point>& points) {
  Score s;
  std::vector<double> predicted, measured;
  for (const Point& p : points) {
    const double error = p.predicted / p.measured - 1;
    s.mean += std::abs(error);
    s.bias += error;
    s.max = std::max(s.max, std::abs(error));
    if (!p.fits) ++s.refused;
    predicted.push_back(p.predicted);
    measured.push_back(p.measured);
  }
  s.n = static_cast<int>(points.size());
  if (s.n == 0) return s;
  s.mean /= s.n, s.bias /= s.n;
  s.rank = correlation(ranks(predicted), ranks(measured));
  return s;
}

Json validation_document(const std::vector<DataSet>& sets) {
  Json rows = Json::array();
  for (const DataSet& set : sets) {
    const Score s = score(set.points);
    Json row = {{"data_set", set.name}, {"n", s.n},       {"mean", s.mean},
                {"max", s.max},         {"bias", s.bias}, {"rank_correlation", s.rank},
                {"refused", s.refused}};
    if (!set.regrets.empty()) {
      row["regret_mean"] =
          std::accumulate(set.regrets.begin(), set.regrets.end(), 0.0) / static_cast<double>(set.regrets.size());
      row["regret_max"] = *std::max_element(set.regrets.begin(), set.regrets.end());
    }
    row["goal"] = set.judged;
    row["source"] = set.source;
    rows.push_back(row);
  }
  return rows;
}

std::string validation_markdown(const Json& rows) {
  std::string text = "| data set | rows | mean | max | bias | rank | regret | refused | goal | source |\n";
  text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Json& row : rows) {
    const auto percent = [&](const char* key) { return absl::StrFormat("%.1f %%", 100 * row[key].get<double>()); };
    const std::string regret =
        row.contains("regret_mean") ? percent("regret_mean") + ", max " + percent("regret_max") : std::string("-");
    text += absl::StrFormat("| `%s` | %d | %s | %s | %s | %.3f | %s | %d | %s | %s |\n",
                            row["data_set"].get<std::string>(), row["n"].get<int>(), percent("mean"), percent("max"),
                            percent("bias"), row["rank_correlation"].get<double>(), regret, row["refused"].get<int>(),
                            row["goal"].get<std::string>(), row["source"].get<std::string>());
  }
  return text;
}

absl::StatusOr<std::string> renewed(const std::string& page, const std::string& table) {
  const std::string begin = "<!-- begin: dsctl sim validate -->\n";
  const size_t from = page.find(begin);
  const size_t to = from == std::string::npos ? from : page.find("<!-- end -->", from);
  if (to == std::string::npos) return absl::InvalidArgumentError("the page has no place for the table: " + begin);
  return page.substr(0, from + begin.size()) + table + page.substr(to);
}

ErrorBar error_bar() {
  std::vector<DataSet> sets;
  add_megatron_sets(&sets);
  add_zero_sets(&sets);
  ErrorBar bar;
  for (const DataSet& set : sets) {
    if (set.name == "korthikanti-activations") continue;  // bytes
    for (const Point& p : set.points) {
      bar.mean += std::abs(p.predicted / p.measured - 1);
      ++bar.rows;
    }
  }
  bar.mean /= bar.rows;
  return bar;
}

std::string simulated() {
  const ErrorBar bar = error_bar();
  return absl::StrFormat("simulated, validated to %.1f %% on %d published points", 100 * bar.mean, bar.rows);
}

}  // namespace ds::client

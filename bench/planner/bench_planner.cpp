// How long a plan takes: the search with its bounds against all layouts, by turns, one thread.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <variant>
#include <vector>

#include "scheduler/plan/plan.h"

namespace {

using namespace ds::plan;

constexpr int kRounds = 7;

struct Case {
  const char* model;
  int64_t layers, hidden, heads, batch;
  int devices;
};

double seconds(const Cluster& cluster, const Transformer& model, bool exhaustive, int64_t* candidates) {
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<Answer> answer = search(cluster, model, {}, {exhaustive, 5});
  const auto end = std::chrono::steady_clock::now();
  if (!answer.ok() || !std::holds_alternative<Plan>(*answer)) {
    std::fprintf(stderr, "no plan for %s\n", model.name.c_str());
    std::exit(1);
  }
  *candidates = std::get<Plan>(*answer).candidates;
  return std::chrono::duration<double>(end - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

int main() {
  for (const Case& c : {Case{"175b", 96, 12288, 96, 1536, 1024}, Case{"530b", 105, 20480, 128, 2240, 2240},
                        Case{"1t", 128, 25600, 160, 3072, 3072}}) {
    auto cluster = preset("selene");
    if (cluster.ok()) cluster = with_devices(*cluster, c.devices, true);
    if (!cluster.ok()) return 1;
    Transformer m;
    m.name = c.model, m.layers = c.layers, m.hidden = c.hidden, m.heads = m.kv_heads = c.heads, m.ffn = 4 * c.hidden;
    m.vocab = 51200, m.sequence = 2048, m.batch = c.batch;
    std::vector<double> pruned, all;
    int64_t candidates = 0, seen = 0;
    for (int i = 0; i < kRounds; ++i) {
      pruned.push_back(seconds(*cluster, m, false, &seen));
      all.push_back(seconds(*cluster, m, true, &candidates));
    }
    const double ours = median(pruned), peer = median(all);
    std::printf(R"({"bench": "planner", "case": "%s on %d devices, %lld layouts", "ours": %.4f, "peer": "exhaustive", )"
                R"("peer_value": %.4f, "unit": "s", "ratio": %.3f})"
                "\n",
                c.model, c.devices, static_cast<long long>(candidates), ours, peer, ours / peer);
  }
  return 0;
}

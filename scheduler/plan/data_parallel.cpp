#include "scheduler/plan/data_parallel.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ds::plan {
namespace {

constexpr int kMostRanks = 1024;

// A rate between `alone` and `busy`: seconds a unit go up in a straight line with the slots that are busy.
double between(double alone, double busy, double share) {
  if (alone <= 0 || busy <= 0) return std::max(alone, busy);
  return 1 / ((1 - share) / alone + share / busy);
}

SlotRates rates_at(const SlotConstants& c, int ranks) {
  const double share = c.ranks > 1 ? std::min(1.0, double(ranks - 1) / (c.ranks - 1)) : 0;
  const SlotRates &a = c.alone, &b = c.busy;
  return {between(a.matmul_flops, b.matmul_flops, share), between(a.conv_flops, b.conv_flops, share),
          between(a.memory_bytes, b.memory_bytes, share),
          a.kernel_seconds + share * (b.kernel_seconds - a.kernel_seconds)};
}

double over(double amount, double rate) { return amount > 0 && rate > 0 ? amount / rate : 0; }

double seconds(const Work& work, double times, const SlotRates& rates) {
  return times * (over(work.matmul_flops, rates.matmul_flops) + over(work.conv_flops, rates.conv_flops) +
                  over(work.bytes, rates.memory_bytes) + work.kernels * rates.kernel_seconds);
}

double ring_share(int ranks) { return 2.0 * (ranks - 1) / ranks; }

double efficiency(double one, const PricedRanks& p) { return one / (p.ranks * p.parts.total()); }

int percent(double part) { return static_cast<int>(std::lround(100 * part)); }

std::string why_not(const PricedRanks& p, const PricedRanks& best, double one) {
  const double share = efficiency(one, p), ratio = p.parts.total() / best.parts.total();
  if (share < kLeastEfficiency)
    return absl::StrCat("its slots would do ", percent(share), " % of what a lone one does; at least ",
                        percent(kLeastEfficiency), " % is asked for");
  if (ratio >= 1) return absl::StrFormat("a step takes %.2f times as long", ratio);
  return absl::StrFormat("only %.1f %% faster, for %d more slots", 100 * (1 - ratio), p.ranks - best.ranks);
}

}  // namespace

std::string step_text(double s) {
  if (s >= 1) return absl::StrFormat("%.3g s", s);
  return s >= 1e-3 ? absl::StrFormat("%.3g ms", 1e3 * s) : absl::StrFormat("%.3g us", 1e6 * s);
}

std::vector<int> rank_counts(int64_t batch, bool deterministic, int64_t virtual_shards) {
  std::vector<int> counts;
  for (int n = 1; n <= std::min<int64_t>(batch, kMostRanks); ++n) {
    if (batch % n != 0) continue;
    if (deterministic && (!std::has_single_bit(static_cast<unsigned>(n)) || virtual_shards % n != 0)) continue;
    counts.push_back(n);
  }
  return counts;
}

StepParts step_parts(const DataParallelJob& job, std::span<const HostShare> hosts) {
  int ranks = 0;
  for (const HostShare& h : hosts) ranks += h.ranks;
  StepParts parts;
  if (ranks == 0) return parts;
  const double samples = double(job.batch) / ranks;
  const double updated = job.sharded_update ? 1.0 / ranks : 1;
  for (const HostShare& h : hosts) {
    const SlotRates rates = rates_at(*h.constants, h.ranks);
    const double kernels = job.profile.update.kernels * rates.kernel_seconds;
    Work update = job.profile.update;
    update.kernels = 0;
    parts.compute =
        std::max(parts.compute, seconds(job.profile.sample, samples, rates) + seconds(job.profile.step, 1, rates));
    parts.optimizer = std::max(parts.optimizer, seconds(update, updated, rates) + kernels);
    if (h.ranks > 1)
      parts.all_reduce = std::max(
          parts.all_reduce, h.constants->all_reduce_seconds +
                                over(ring_share(h.ranks) * job.profile.gradient_bytes, h.constants->all_reduce_bytes));
  }
  const int n = static_cast<int>(hosts.size());
  if (n > 1)
    parts.all_reduce +=
        2 * (n - 1) * kAssumedNetworkSeconds + ring_share(n) * job.profile.gradient_bytes / kAssumedNetworkBytes;
  return parts;
}

DataParallelPlan choose_ranks(const std::vector<PricedRanks>& priced) {
  DataParallelPlan plan;
  if (priced.empty()) return plan;
  const double one = priced.front().ranks * priced.front().parts.total();
  const auto worth = [&](const PricedRanks& p) {
    return &p == &priced.front() || efficiency(one, p) >= kLeastEfficiency;
  };
  double fastest = priced.front().parts.total();
  for (const PricedRanks& p : priced)
    if (worth(p)) fastest = std::min(fastest, p.parts.total());
  const PricedRanks& best = *std::find_if(priced.begin(), priced.end(), [&](const PricedRanks& p) {
    return worth(p) && p.parts.total() <= kWorthIt * fastest;
  });
  plan.ranks = best.ranks;
  plan.parts = best.parts;
  plan.one_rank_seconds = one;
  plan.why = absl::StrCat(best.ranks, best.ranks == 1 ? " rank: " : " ranks: ", step_text(best.parts.total()),
                          " a step, efficiency ", percent(efficiency(one, best)), " %",
                          best.hosts_differ ? "; the network between hosts is assumed, not measured" : "");
  for (const PricedRanks& p : priced)
    if (p.ranks != best.ranks) plan.alternatives.push_back({p.ranks, p.parts.total(), why_not(p, best, one)});
  return plan;
}

}  // namespace ds::plan

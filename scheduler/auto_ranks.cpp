#include "scheduler/auto_ranks.h"

#include <algorithm>
#include <map>

#include "scheduler/pack.h"

namespace ds::scheduler {
namespace {

using Constants = plan::SlotConstants;

// The slower of two in every respect: ranks wait for each other.
Constants slower(const Constants& a, const Constants& b) {
  const auto least = [](const plan::SlotRates& x, const plan::SlotRates& y) {
    return plan::SlotRates{std::min(x.matmul_flops, y.matmul_flops), std::min(x.conv_flops, y.conv_flops),
                           std::min(x.memory_bytes, y.memory_bytes), std::max(x.kernel_seconds, y.kernel_seconds)};
  };
  return {least(a.alone, b.alone), least(a.busy, b.busy), std::min(a.ranks, b.ranks),
          std::max(a.all_reduce_seconds, b.all_reduce_seconds), std::min(a.all_reduce_bytes, b.all_reduce_bytes)};
}

plan::PricedRanks price(const plan::DataParallelJob& job, const std::vector<WorkerView>& workers,
                        const std::vector<RankPlace>& places) {
  std::map<std::string, const WorkerView*> by_name;
  for (const WorkerView& w : workers) by_name[w.name] = &w;
  struct Host {
    Constants constants;
    int ranks = 0;
  };
  std::map<std::string, Host> hosts;
  for (const RankPlace& place : places) {
    const WorkerView& w = *by_name.at(place.worker);
    Host& host = hosts[host_of(w)];
    host.constants = host.ranks == 0 ? *w.constants : slower(host.constants, *w.constants);
    ++host.ranks;
  }
  std::vector<plan::HostShare> shares;
  for (const auto& [name, host] : hosts) shares.push_back({&host.constants, host.ranks});
  return {static_cast<int>(places.size()), plan::step_parts(job, shares), hosts.size() > 1};
}

}  // namespace

std::vector<WorkerView> measured(const std::vector<WorkerView>& workers) {
  std::vector<WorkerView> out;
  std::copy_if(workers.begin(), workers.end(), std::back_inserter(out),
               [](const WorkerView& w) { return w.ready && w.constants.has_value(); });
  return out;
}

std::vector<WorkerView> emptied(std::vector<WorkerView> workers) {
  for (WorkerView& w : workers) {
    w.free.clear();
    for (int slot = 0; slot < w.slots; ++slot) w.free.push_back(slot);
  }
  return workers;
}

plan::DataParallelPlan plan_ranks(const plan::DataParallelJob& job, const std::vector<WorkerView>& workers, int most) {
  const std::vector<WorkerView> usable = measured(workers);
  std::vector<plan::PricedRanks> priced;
  for (int ranks : job.ranks) {
    if (ranks > most) break;
    std::vector<WorkerView> copy = usable;
    const auto places = pack(copy, ranks);
    if (!places) break;
    priced.push_back(price(job, usable, *places));
  }
  return plan::choose_ranks(priced);
}

}  // namespace ds::scheduler

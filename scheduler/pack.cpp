#include "scheduler/pack.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace ds::scheduler {
namespace {

using Picks = std::vector<WorkerView*>;

int free_of(const WorkerView& worker) { return static_cast<int>(worker.free.size()); }

int free_of(const Picks& workers) {
  int sum = 0;
  for (const WorkerView* w : workers) sum += free_of(*w);
  return sum;
}

// The worker with the fewest free slots that still holds all; ties go by name.
WorkerView* tightest(const Picks& workers, int ranks) {
  WorkerView* best = nullptr;
  for (WorkerView* w : workers) {
    if (free_of(*w) < ranks) continue;
    if (!best || std::make_tuple(free_of(*w), w->name) < std::make_tuple(free_of(*best), best->name)) best = w;
  }
  return best;
}

// The fewest workers that hold all ranks: the roomiest first, and the last one as tight as can be.
Picks fewest(Picks workers, int ranks) {
  std::sort(workers.begin(), workers.end(), [](const WorkerView* a, const WorkerView* b) {
    return std::make_tuple(-free_of(*a), host_of(*a), a->name) < std::make_tuple(-free_of(*b), host_of(*b), b->name);
  });
  Picks picked;
  while (ranks > 0) {
    WorkerView* next = tightest(workers, ranks);
    if (!next) next = workers.front();
    workers.erase(std::find(workers.begin(), workers.end(), next));
    picked.push_back(next);
    ranks -= free_of(*next);
  }
  return picked;
}

// The best single host, or nothing: fewest workers, then least room left over, then name.
Picks one_host(const Picks& workers, int ranks) {
  std::map<std::string, Picks> hosts;
  for (WorkerView* w : workers) hosts[host_of(*w)].push_back(w);
  Picks best;
  int best_room = 0;
  for (auto& [host, members] : hosts) {
    int room = free_of(members);
    if (room < ranks) continue;
    Picks picks = fewest(members, ranks);
    if (best.empty() || std::make_tuple(picks.size(), room) < std::make_tuple(best.size(), best_room)) {
      best = std::move(picks);
      best_room = room;
    }
  }
  return best;
}

}  // namespace

std::string host_of(const WorkerView& worker) {
  auto label = worker.labels.find("host");
  return label == worker.labels.end() ? worker.name : label->second;
}

std::optional<std::vector<RankPlace>> pack(std::vector<WorkerView>& workers, int ranks) {
  Picks usable;
  for (WorkerView& w : workers) {
    if (w.ready && !w.free.empty()) usable.push_back(&w);
  }
  if (free_of(usable) < ranks) return std::nullopt;
  Picks picks = one_host(usable, ranks);
  if (WorkerView* one = tightest(usable, ranks)) picks = {one};
  if (picks.empty()) picks = fewest(usable, ranks);
  std::vector<RankPlace> places;
  for (WorkerView* w : picks) {
    while (!w->free.empty() && static_cast<int>(places.size()) < ranks) {
      places.push_back({w->name, w->free.front()});
      w->free.erase(w->free.begin());
    }
  }
  return places;
}

}  // namespace ds::scheduler

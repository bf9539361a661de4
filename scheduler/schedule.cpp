#include "scheduler/schedule.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "scheduler/auto_ranks.h"
#include "scheduler/pack.h"

namespace ds::scheduler {
namespace {

std::string count(int n, const std::string& noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); }

// One pass over the queue: what is free, and how much the jobs behind the ones that wait may still take.
class Pass {
 public:
  explicit Pass(const Cluster& cluster) : cluster_(cluster), workers_(cluster.workers), running_(cluster.running) {
    for (WorkerView& w : workers_) {
      std::sort(w.free.begin(), w.free.end());
      if (!w.ready) continue;
      ++ready_workers_;
      total_ += w.slots;
      free_ += static_cast<int>(w.free.size());
    }
    std::sort(running_.begin(), running_.end(), [](const Holding& a, const Holding& b) { return a.turn < b.turn; });
    for (const Holding& h : running_) behind_ += h.slots;
  }

  Answer decide(const QueuedJob& job) { return job.automatic ? decide_automatic(job) : decide_fixed(job); }

 private:
  Answer decide_fixed(const QueuedJob& job) {
    if (job.ranks < 1) return Infeasible{"asks for " + count(job.ranks, "rank") + "; a job needs at least one"};
    if (cluster_.max_slots && job.ranks > *cluster_.max_slots) {
      return Infeasible{"needs " + count(job.ranks, "slot") + ", this cluster can never have more than " +
                        std::to_string(*cluster_.max_slots)};
    }
    if (job.ranks > free_) return wait(job, job.ranks > total_ ? "; waits for workers to join" : "");
    if (job.ranks > allowance_) return wait(job, "; kept for " + claimant_ + ", whose turn is first");
    return Placed{*pack(workers_, job.ranks), taken(job.ranks)};
  }

  Answer decide_automatic(const QueuedJob& job) {
    const plan::DataParallelPlan best = plan_ranks(*job.automatic, emptied(cluster_.workers), total_);
    if (best.ranks == 0) return Wait{"no ready worker has measured what its slots reach, as data_parallel: auto needs"};
    const int room = std::min(free_, allowance_);
    plan::DataParallelPlan now = plan_ranks(*job.automatic, workers_, room);
    const bool hasty = room < best.ranks && now.parts.total() > kPatience * best.parts.total();
    if (now.ranks == 0 || hasty) return wait_for(best, now, job);
    if (now.ranks != best.ranks)
      now.why += "; " + count(best.ranks, "rank") + " would take " + plan::step_text(best.parts.total()) +
                 " with the whole cluster free";
    std::vector<RankPlace> places = take_measured(now.ranks);
    return Placed{std::move(places), taken(now.ranks), std::move(now)};
  }

  Wait wait_for(const plan::DataParallelPlan& best, const plan::DataParallelPlan& now, const QueuedJob& job) {
    std::string more = allowance_ < free_ ? "; kept for " + claimant_ + ", whose turn is first" : "";
    if (now.ranks > 0)
      more += "; " + count(now.ranks, "rank") + " would take " + plan::step_text(now.parts.total()) + " a step, " +
              std::to_string(best.ranks) + " take " + plan::step_text(best.parts.total());
    return wait({job.id, job.turn, best.ranks}, more);
  }

  std::vector<RankPlace> take_measured(int ranks) {
    std::vector<WorkerView> usable = measured(workers_);
    std::vector<RankPlace> places = *pack(usable, ranks);
    for (const RankPlace& place : places)
      for (WorkerView& w : workers_)
        if (w.name == place.worker) std::erase(w.free, place.slot);
    return places;
  }

  std::string taken(int ranks) {
    free_ -= ranks;
    allowance_ -= ranks;
    return count(ranks, "slot") + " of " + std::to_string(total_);
  }

  Wait wait(const QueuedJob& job, const std::string& more) {
    if (job.ranks <= total_) claim(job);
    return {"needs " + count(job.ranks, "slot") + ", " + std::to_string(free_) + " of " + std::to_string(total_) +
            " free on " + count(ready_workers_, "worker") + more};
  }

  // From here on the jobs behind `job` may take T - ranks, less what running ones behind it hold.
  void claim(const QueuedJob& job) {
    while (next_running_ < running_.size() && running_[next_running_].turn < job.turn) {
      behind_ -= running_[next_running_++].slots;
    }
    int room = std::max(0, total_ - job.ranks - behind_);
    if (room < allowance_) {
      allowance_ = room;
      claimant_ = job.id;
    }
  }

  const Cluster& cluster_;
  std::vector<WorkerView> workers_;
  std::vector<Holding> running_;  // in the order of turns
  size_t next_running_ = 0;
  int behind_ = 0;  // slots of running_[next_running_...]
  int ready_workers_ = 0, total_ = 0, free_ = 0;
  int allowance_ = std::numeric_limits<int>::max();
  std::string claimant_;
};

}  // namespace

bool Turn::operator<(const Turn& other) const {
  return std::make_tuple(!resumed, -static_cast<int64_t>(priority), order) <
         std::make_tuple(!other.resumed, -static_cast<int64_t>(other.priority), other.order);
}

std::vector<Decision> schedule(const Cluster& cluster, std::vector<QueuedJob> queue) {
  std::sort(queue.begin(), queue.end(), [](const QueuedJob& a, const QueuedJob& b) { return a.turn < b.turn; });
  Pass pass(cluster);
  std::vector<Decision> decisions;
  decisions.reserve(queue.size());
  for (const QueuedJob& job : queue) decisions.push_back({job.id, pass.decide(job)});
  return decisions;
}

}  // namespace ds::scheduler

// The scheduler: a cluster and a queue in, one answer a job out. Pure: no clock, no I/O, no randomness, no memory.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/plan/data_parallel.h"

namespace ds::scheduler {

// A machine that lends slots. Only a ready one is given ranks.
struct WorkerView {
  std::string name;
  bool ready = true;
  int slots = 0;
  std::vector<int> free;                                        // numbers of the free slots, each in [0, slots)
  std::map<std::string, std::string> labels;                    // topology; "host" groups workers of one machine
  std::optional<plan::SlotConstants> constants = std::nullopt;  // what its slots were measured to reach
};

// A job's turn. Smaller comes first: a job that already ran (a failure must not preempt it), then the higher
// priority, then the earlier submission. `order` is unique, so turns are a total order.
struct Turn {
  bool resumed = false;
  int priority = 0;
  int64_t order = 0;
  bool operator<(const Turn& other) const;
};

// A running job: the slots it holds on ready workers.
struct Holding {
  Turn turn;
  int slots = 0;
};

struct Cluster {
  std::vector<WorkerView> workers;  // names are unique
  std::vector<Holding> running;
  std::optional<int> max_slots;  // the most slots the cluster can ever have; none: workers may always join
};

struct QueuedJob {
  std::string id;
  Turn turn;
  int ranks = 0;                                                  // one slot each
  std::optional<plan::DataParallelJob> automatic = std::nullopt;  // then `ranks` does not count: it is planned
};

struct RankPlace {
  std::string worker;
  int slot = 0;
  bool operator==(const RankPlace&) const = default;
};

// The whole gang has its slots: ranks[r] is where rank r runs.
struct Placed {
  std::vector<RankPlace> ranks;
  std::string reason;
  std::optional<plan::DataParallelPlan> plan = std::nullopt;  // of an automatic job
};
// Not now; `reason` says what is missing or who comes first.
struct Wait {
  std::string reason;
};
// Never, whatever ends or joins.
struct Infeasible {
  std::string reason;
};
using Answer = std::variant<Placed, Wait, Infeasible>;

struct Decision {
  std::string job;
  Answer answer;
};

inline constexpr double kPatience = 2;

// One decision a job of `queue`, in the order of turns.
//
// Who may pass whom: let T be the slots of all ready workers. A waiting job W with ranks(W) <= T keeps a claim:
// the jobs behind it may hold T - ranks(W) slots together and no more. So when the jobs ahead of W have ended, at
// least ranks(W) slots are free, and W starts: nobody starves behind later, smaller jobs. A job with ranks(W) > T
// keeps no claim, since holding slots back brings it no nearer; it starts when workers join.
//
// An automatic job gets the number of ranks that choose_ranks() picks over the slots that are free and not kept for
// others. It waits only where that would take more than kPatience times as long a step as its best number on the empty
// cluster and too few slots are free for that; it then claims them. Workers that measured nothing are not used for it.
//
// Where a gang goes: the one worker it fits most tightly; else the one host it fits in, on the fewest workers;
// else the fewest workers of the whole cluster.
std::vector<Decision> schedule(const Cluster& cluster, std::vector<QueuedJob> queue);

}  // namespace ds::scheduler

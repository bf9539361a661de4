// How many ranks a data-parallel job gets: the time of a step on each number of slots, out of the model's profile and
// what the slots were measured to reach, and the choice between them. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ds::plan {

// What a kind of work asks of a slot.
struct Work {
  double matmul_flops = 0, conv_flops = 0;  // float32
  double bytes = 0;                         // read and written by every other kernel
  double kernels = 0;                       // started
};

struct StepProfile {
  Work sample;  // forward and backward, for each sample of a rank
  Work step;    // forward and backward, whatever the batch
  Work update;  // the optimizer, over all parameters
  double gradient_bytes = 0;
};

// What one slot reaches: FLOP/s, bytes/s, and the seconds of the shortest kernel.
struct SlotRates {
  double matmul_flops = 0, conv_flops = 0, memory_bytes = 0, kernel_seconds = 0;
};
struct SlotConstants {
  SlotRates alone, busy;          // with idle neighbours; with `ranks` slots of the host at the same work
  int ranks = 1;                  // that `busy` and the two below were measured with
  double all_reduce_seconds = 0;  // the shortest
  double all_reduce_bytes = 0;    // bus bytes/s; 0: not measured
};

struct DataParallelJob {
  StepProfile profile;
  int64_t batch = 1;           // samples of a step, over all ranks
  bool sharded_update = true;  // ZeRO-1: each rank updates its share
  std::vector<int> ranks;      // numbers it can train on, ascending
};

// The numbers of ranks that divide the batch, ascending, at most 1,024. Deterministic training: powers of two that also
// divide the virtual shards (docs/job-file.md).
std::vector<int> rank_counts(int64_t batch, bool deterministic, int64_t virtual_shards);

// Ranks of the job on one host, and what its slots reach (of several workers: the slowest's).
struct HostShare {
  const SlotConstants* constants = nullptr;
  int ranks = 0;
};

struct StepParts {  // seconds
  double compute = 0, optimizer = 0, all_reduce = 0;
  double total() const { return compute + optimizer + all_reduce; }
};

// The step of the slowest rank. A rank's rate lies between that of a lone slot and that of a busy host, in proportion
// to the slots that are busy; gradients are reduced after the backward pass, since on one host the ranks' own cores do
// it. Between hosts nothing is measured: kAssumedNetwork.
StepParts step_parts(const DataParallelJob& job, std::span<const HostShare> hosts);

// 10 Gb/s Ethernet with UCX over TCP: what a host without a faster network has.
inline constexpr double kAssumedNetworkBytes = 1.1e9, kAssumedNetworkSeconds = 50e-6;

struct PricedRanks {
  int ranks = 0;
  StepParts parts;
  bool hosts_differ = false;  // it lies on several hosts: the network's share is assumed
};
struct RankAlternative {
  int ranks = 0;
  double step_seconds = 0;
  std::string why;
};
struct DataParallelPlan {
  int ranks = 0;  // 0: nothing to choose from
  StepParts parts;
  double one_rank_seconds = 0;
  std::string why;
  std::vector<RankAlternative> alternatives;
};

inline constexpr double kLeastEfficiency = 0.5;  // of a slot, against the job on one slot
inline constexpr double kWorthIt = 1.05;         // more slots must make the step faster by this factor

// The fastest step among the numbers whose slots do at least half of the work that a lone slot would; of those within 5
// % of it, the fewest slots. `priced` is ascending; its first entry stands for one rank where the number 1 is not in
// it.
DataParallelPlan choose_ranks(const std::vector<PricedRanks>& priced);

// "1.83 ms"
std::string step_text(double seconds);

}  // namespace ds::plan

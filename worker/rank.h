// What the worker knows of one executor, from the order to start it to its end.
#pragma once
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"
#include "worker/artifact_cache.h"
#include "worker/executor_service.h"
#include "worker/process.h"
#include "worker/watchdog.h"

namespace ds::worker {

constexpr double kNever = std::numeric_limits<double>::infinity();

struct Rank {
  uint64_t id = 0;
  v1::StartRank start;
  v1::ExecutorReport report;  // as the coordinator knows it, or is about to
  Process process;            // pid 0: waits for its artifacts, or for an older generation to be gone
  std::vector<ArtifactCache::Lease> artifacts;
  double tell_at = kNever;  // how far its artifacts are, the next time
  Watchdog watchdog{0};
  std::shared_ptr<CommandStream> commands;
  bool stream_open = false;
  std::optional<v1::ExecutorDone> done;
  std::optional<ExitStatus> exit;
  double exited_at = kNever;    // reaped
  double reported_at = kNever;  // its end was told, on a stream that still stands
  bool end_stored = false;      // the coordinator has it for good: not told again unless asked
  double kill_at = kNever;      // then SIGKILL
  bool stop_asked = false;
  std::string verdict;    // why the worker ended it itself
  bool hung = false;      // and that was for its standing still
  int64_t oom_kills = 0;  // that the kernel counts of the moments before its end

  const std::string& job() const { return start.job(); }
  int64_t generation() const { return start.generation(); }
  int32_t rank() const { return start.rank(); }
  bool is(const std::string& j, int64_t g, int32_t r) const { return g == generation() && r == rank() && j == job(); }
  bool ended() const { return report.state() == v1::RANK_EXITED; }
  bool has_process() const { return process.pid != 0 && !exit; }
};

// A model that is being traced for the coordinator, by an executor of its own.
struct Profile {
  uint64_t id = 0;  // of its process
  v1::StartRank start;
  std::vector<ArtifactCache::Lease> artifacts;
  Process process;  // pid 0: waits for its artifacts
  std::optional<v1::ProfileResult> result;
};

// The last report of a rank whose process is gone and whose stream has been read to its end. `log` is how its log ends.
void fill_exit_report(Rank& rank, const std::string& log);

}  // namespace ds::worker

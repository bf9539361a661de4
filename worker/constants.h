// What this worker's slots reach, measured by ds-executor when the worker first starts.
#pragma once
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ds/v1/worker.pb.h"

namespace ds::worker {

struct MeasureOptions {
  std::string executor;    // path of ds-executor
  std::string data;        // the worker's folder: keeps the result, and the log of the measurement
  std::vector<int> cores;  // of the worker
  std::vector<int> machine_cores;
  int slots = 1;
};

// Cores of the slots that are measured together: the worker's own, at most 16; of a worker of one slot, that and the
// machine's other cores, where another worker's slot would be.
std::vector<std::string> measured_shares(const MeasureOptions& options);

// Those that were measured before, where slots, cores and program are the same: so that a restart does not disturb what
// runs. Else measures now, in about half a second. Error: what failed, with the end of its log.
absl::StatusOr<v1::Constants> constants(const MeasureOptions& options);

}  // namespace ds::worker

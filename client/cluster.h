// The one-command development cluster: a coordinator and workers on this machine, as processes of their own.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/process.h"
#include "client/view.h"

namespace ds::client {

struct ClusterOptions {
  int workers = 2;
  int slots = 1;               // of each worker
  std::string data;            // of the coordinator; a folder a worker below it. Empty: state_dir()/data
  std::string log_level = "";  // of the daemons; empty: their own
  double seconds = 30;         // until everything must be ready
};

// Starts the daemons that stand beside this program, waits until every worker is registered, and writes the record that
// makes the cluster the default. Cores are split evenly among the workers. Returns the record:
// {address, http, data, logs, coordinator: {pid, start, log}, workers: [{name, slots, cores, metrics, pid, start,
// log}]}. Errors: FailedPrecondition where one is running; DeadlineExceeded or Internal, with the end of the log of the
// daemon that failed, and everything stopped again.
absl::StatusOr<Json> cluster_up(const ClusterOptions& options);

// Stops the daemons, workers first, then ranks they left behind, and removes the record.
// Returns {stopped, killed}; NotFound where there is no record.
absl::StatusOr<Json> cluster_down();

// The record with `state` "UP", "DEGRADED" or "DOWN", and for each daemon `state` "RUNNING", "UNRESPONSIVE" (its
// process is there, but it does not answer within a second or two) or "GONE", and `detail` in words. NotFound: no
// record.
absl::StatusOr<Json> cluster_status();

View cluster_view(const Json& cluster);

// The JSON in a file; discarded (not an object) where there is none.
Json read_json(const std::string& path);
// The process of a daemon of the record.
ProcessId process_of(const Json& daemon);

// Cores of worker `index` of `workers`: even shares, or one core shared by several where there are more workers.
std::vector<int> share_of_cores(const std::vector<int>& cores, int workers, int index);

}  // namespace ds::client

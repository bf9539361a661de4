// A rank whose training loop is the user's own Python program (python/deepseek/job.py is the other end).
#pragma once
#include <string>

#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"
#include "worker/executor/reporter.h"

namespace ds::worker {

struct ScriptOptions {
  std::string python;  // interpreter
  int threads = 1;     // for its numeric libraries
  // Seconds from the wish to stop to SIGKILL: less than the 60 after which the coordinator ends rank and word alike.
  double stop_grace = 50;
};

// What stands in every line of the rank's log that is the executor's, and in none of the program's.
std::string log_fields(const v1::StartRank& start);

// Runs it to its end, or to a stop, and passes on what it reports. Its exit code says how it ended: 0 succeeded, 75
// stopped as it was asked to, 74 lost a peer; any other is the user's error, and a signal is none.
v1::ExecutorDone run_script(const v1::StartRank& start, const ScriptOptions& options, Reporter& reporter);

}  // namespace ds::worker

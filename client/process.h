// Daemons of the local cluster as processes: started detached, known by pid and start time, stopped in order.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ds::client {

// A pid may be given to another process; together with its start time it is not.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start = 0;  // in clock ticks since boot, from /proc/PID/stat
};

// The process of that pid; start 0 if there is none (a zombie is none).
ProcessId identify(pid_t pid);
bool alive(const ProcessId& process);
// By SIGSTOP or a debugger.
bool stopped(const ProcessId& process);

// Starts argv[0] in a session of its own, without our descriptors; its output is appended to `log`.
absl::StatusOr<ProcessId> spawn_detached(const std::vector<std::string>& argv, const std::string& log);

// Runs argv[0] to its end. An error has the end of what it printed, which is in `log`.
absl::Status run_to_end(const std::vector<std::string>& argv, const std::string& log);

// SIGTERM, and SIGKILL to those that are left after `patience`. Returns how many had to be killed.
int stop(const std::vector<ProcessId>& processes, std::chrono::milliseconds patience);

// Processes of the program at path `program` with `argument` somewhere in their command line.
std::vector<ProcessId> find_processes(const std::string& program, const std::string& argument);

// The cores this process may use.
std::vector<int> usable_cores();

// The folder of the running program.
std::string program_folder();

}  // namespace ds::client

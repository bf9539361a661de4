// Processes as the worker needs them: spawned cheaply, watched by descriptor, named when they die.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ds::worker {

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  int get() const { return fd_; }
  int release();
  void reset(int fd = -1);

 private:
  int fd_;
};

struct Process {
  pid_t pid = 0;
  UniqueFd pidfd;  // readable once the process has ended; safe against a reused pid
};

// Starts argv[0] in a process group of its own, with stdout and stderr appended to `log_path`, no other descriptor of
// ours, and default signals.
absl::StatusOr<Process> spawn(const std::vector<std::string>& argv, const std::string& log_path);

struct ExitStatus {
  int code = 0;      // exit code, or 128 + signal
  std::string text;  // "exited with code 3", "killed by SIGKILL (9)"
};
// Reaps an ended process.
ExitStatus reap(const Process& process);

void send_signal(const Process& process, int signal);

// The state letter of /proc/PID/stat ('R', 'S', 'T' ...), or '?' when it is gone.
char process_state(pid_t pid);
// "T (stopped)"
std::string describe_state(char state);

// Creates the folder and its parents.
absl::Status make_folders(const std::string& path);
// Writes to a temporary name beside `path` and renames it.
absl::Status write_file_atomically(const std::string& path, const std::string& content);

}  // namespace ds::worker

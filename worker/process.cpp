#include "worker/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgets to say that it is C
}

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace ds::worker {

int UniqueFd::release() { return std::exchange(fd_, -1); }

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

namespace {

class SpawnSetup {
 public:
  explicit SpawnSetup(const std::string& log_path) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_, 0);  // a Ctrl-C meant for the worker is not one for its executors
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<Process> spawn(const std::vector<std::string>& argv, const std::string& log_path) {
  SpawnSetup setup(log_path);
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  Process process;
  int error = posix_spawn(&process.pid, pointers[0], setup.actions(), setup.attributes(), pointers.data(), environ);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("[spawn] ", argv[0], " with log ", log_path));
  process.pidfd.reset(pidfd_open(process.pid, 0));
  if (process.pidfd.get() < 0) {  // it is our child and not reaped: the pid is still its own
    int why = errno;
    ::kill(process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
    return absl::ErrnoToStatus(why, absl::StrCat("[spawn] pidfd_open of ", process.pid));
  }
  return process;
}

ExitStatus reap(const Process& process) {
  siginfo_t info{};
  if (waitid(P_PIDFD, process.pidfd.get(), &info, WEXITED) != 0) return {255, absl::StrCat("lost: ", strerror(errno))};
  if (info.si_code == CLD_EXITED) return {info.si_status, absl::StrCat("exited with code ", info.si_status)};
  const char* name = sigabbrev_np(info.si_status);
  return {128 + info.si_status, absl::StrCat("killed by SIG", name ? name : "?", " (", info.si_status, ")")};
}

void send_signal(const Process& process, int signal) { pidfd_send_signal(process.pidfd.get(), signal, nullptr, 0); }

char process_state(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return '?';
  size_t end = line.rfind(')');  // the name before it may hold anything
  return end == std::string::npos || end + 2 >= line.size() ? '?' : line[end + 2];
}

std::string describe_state(char state) {
  const char* words = "gone";
  switch (state) {
    case 'R':
      words = "running";
      break;
    case 'S':
      words = "sleeping";
      break;
    case 'D':
      words = "waiting for a disk";
      break;
    case 'T':
      words = "stopped";
      break;
    case 't':
      words = "stopped by a debugger";
      break;
    case 'Z':
      words = "zombie";
      break;
    default:
      break;
  }
  return absl::StrCat(std::string(1, state), " (", words, ")");
}

absl::Status make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::UnavailableError(absl::StrCat("[mkdir] ", path, ": ", error.message()));
  return absl::OkStatus();
}

absl::Status write_file_atomically(const std::string& path, const std::string& content) {
  std::string temporary = absl::StrCat(path, ".", getpid(), ".tmp");
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("[write] ", temporary, ": ", strerror(errno)));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("[rename] ", temporary, " to ", path));
  }
  return absl::OkStatus();
}

}  // namespace ds::worker

#include "client/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

extern char** environ;

namespace ds::client {
namespace {

constexpr std::chrono::milliseconds kLook{20};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Of /proc/PID/stat, "PID (name) STATE ...", from STATE on: the name may hold anything, so look for its last bracket.
std::vector<std::string> fields_of(pid_t pid) {
  const std::string stat = read_file(absl::StrCat("/proc/", pid, "/stat"));
  const size_t bracket = stat.rfind(')');
  if (bracket == stat.npos) return {};
  return absl::StrSplit(stat.substr(bracket + 2), ' ');
}

}  // namespace

ProcessId identify(pid_t pid) {
  const std::vector<std::string> fields = fields_of(pid);
  ProcessId process{pid, 0};
  if (fields.size() > 19 && fields[0] != "Z" && fields[0] != "X") (void)absl::SimpleAtoi(fields[19], &process.start);
  return process;
}

bool alive(const ProcessId& process) { return process.start != 0 && identify(process.pid).start == process.start; }

bool stopped(const ProcessId& process) {
  const std::vector<std::string> fields = fields_of(process.pid);
  return alive(process) && !fields.empty() && (fields[0] == "T" || fields[0] == "t");
}

namespace {

absl::StatusOr<pid_t> spawn(const std::vector<std::string>& argv, const std::string& log, short flags) {
  std::vector<char*> arguments;
  for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, flags);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0].c_str(), &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::InternalError(absl::StrCat("cannot start ", argv[0], ": ", std::strerror(error)));
  return pid;
}

}  // namespace

absl::StatusOr<ProcessId> spawn_detached(const std::vector<std::string>& argv, const std::string& log) {
  absl::StatusOr<pid_t> pid = spawn(argv, log, POSIX_SPAWN_SETSID);
  if (!pid.ok()) return pid.status();
  return identify(*pid);
}

absl::Status run_to_end(const std::vector<std::string>& argv, const std::string& log) {
  absl::StatusOr<pid_t> pid = spawn(argv, log, 0);
  if (!pid.ok()) return pid.status();
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  const std::string printed = read_file(log);
  return absl::InternalError(
      absl::StrCat(argv[0], ": ", printed.substr(printed.size() > 1024 ? printed.size() - 1024 : 0)));
}

int stop(const std::vector<ProcessId>& processes, std::chrono::milliseconds patience) {
  const auto signal_all = [&](int signal) {
    return std::count_if(processes.begin(), processes.end(),
                         [&](const ProcessId& p) { return alive(p) && kill(p.pid, signal) == 0; });
  };
  const auto wait = [&](std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::any_of(processes.begin(), processes.end(), alive) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(kLook);
  };
  if (signal_all(SIGTERM) > 0) wait(patience);
  const int killed = static_cast<int>(signal_all(SIGKILL));
  if (killed > 0) wait(std::chrono::seconds(5));
  for (const ProcessId& p : processes) waitpid(p.pid, nullptr, WNOHANG);  // those that are our children
  return killed;
}

std::vector<ProcessId> find_processes(const std::string& program, const std::string& argument) {
  std::vector<ProcessId> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const std::string exe = std::filesystem::read_symlink(entry.path() / "exe", ignored);
    if (exe == program && absl::StrContains(read_file(entry.path() / "cmdline"), argument))
      found.push_back(identify(pid));
  }
  return found;
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) cores.push_back(i);
  return cores.empty() ? std::vector<int>{0} : cores;
}

std::string program_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

}  // namespace ds::client

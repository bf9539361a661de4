#include "worker/executor/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgets to say that it is C
}

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace ds::worker {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& ours) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text(*entry);
    if (!ours.count(text.substr(0, text.find('=')))) out.push_back(std::move(text));
  }
  for (const auto& [name, value] : ours) out.push_back(absl::StrCat(name, "=", value));
  return out;
}

// Between fork and exec, where only what is safe in a signal handler may be called. Ends through `report` with errno.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* folder, int channel, int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  fcntl(channel, F_SETFD, 0);
  if (::chdir(folder) == 0) execvpe(argv[0], argv, environment);
  int error = errno;
  (void)!::write(report, &error, sizeof error);
  _exit(127);
}

}  // namespace

absl::StatusOr<Child> Child::start(const ChildOptions& options) {
  int channel[2], report[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0 || ::pipe2(report, O_CLOEXEC) != 0)
    return absl::ErrnoToStatus(errno, "[script] no channel to the program");
  UniqueFd ours(channel[0]), theirs(channel[1]), report_in(report[0]), report_out(report[1]);
  std::map<std::string, std::string> environment = options.environment;
  environment[options.channel_variable] = absl::StrCat(theirs.get());
  std::vector<std::string> entries = merged_environment(environment);
  std::vector<char*> argv = pointers(options.argv), envp = pointers(entries);

  Child child;
  child.process_.pid = ::fork();
  if (child.process_.pid == 0) become(argv.data(), envp.data(), options.folder.c_str(), theirs.get(), report_out.get());
  if (child.process_.pid < 0) return absl::ErrnoToStatus(errno, "[script] fork");
  report_out.reset();
  int error = 0;
  if (::read(report_in.get(), &error, sizeof error) == sizeof error) {
    ::waitpid(child.process_.pid, nullptr, 0);
    return absl::ErrnoToStatus(error, absl::StrCat("[script] cannot run ", options.argv[0], " in ", options.folder));
  }
  child.process_.pidfd.reset(pidfd_open(child.process_.pid, 0));
  if (child.process_.pidfd.get() < 0) return absl::ErrnoToStatus(errno, "[script] pidfd_open");
  child.channel_ = std::move(ours);
  return child;
}

std::vector<std::string> Child::read(int milliseconds) {
  pollfd waits[] = {{process_.pidfd.get(), POLLIN, 0}, {closed_ ? -1 : channel_.get(), POLLIN, 0}};
  ::poll(waits, 2, milliseconds);
  std::vector<std::string> lines;
  char buffer[4096];
  while (!closed_) {
    ssize_t got = ::recv(channel_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0) break;
    if (got == 0) closed_ = true;
    part_.append(buffer, static_cast<size_t>(got));
  }
  for (size_t end; (end = part_.find('\n')) != std::string::npos; part_.erase(0, end + 1))
    lines.push_back(part_.substr(0, end));
  return lines;
}

bool Child::write(const std::string& line) {
  std::string text = line + "\n";
  return ::send(channel_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(text.size());
}

std::optional<ExitStatus> Child::exit() {
  pollfd ended{process_.pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) != 1) return std::nullopt;
  return reap(process_);
}

}  // namespace ds::worker

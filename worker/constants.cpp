#include "worker/constants.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/cores.h"
#include "worker/memory.h"
#include "worker/process.h"

namespace ds::worker {
namespace {

constexpr int kMostSlots = 16;
constexpr int kPatienceMs = 60'000;  // others on this machine may be measured first

std::string what_for(const MeasureOptions& options) {
  struct stat program {};
  ::stat(options.executor.c_str(), &program);
  return absl::StrCat("slots=", options.slots, " shares=", absl::StrJoin(measured_shares(options), ";"),
                      " program=", program.st_size, "-", program.st_mtim.tv_sec, ".", program.st_mtim.tv_nsec);
}

absl::StatusOr<v1::Constants> read(const std::string& path) {
  v1::Constants constants;
  std::ifstream file(path, std::ios::binary);
  if (!file || !constants.ParseFromIstream(&file)) return absl::NotFoundError(path);
  return constants;
}

std::string tail(const std::string& path) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return text.substr(text.size() > 400 ? text.size() - 400 : 0);
}

// Runs it to its end, or ends it.
ExitStatus wait_for(const Process& process) {
  pollfd ended{process.pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, kPatienceMs) != 1) send_signal(process, SIGKILL);
  return reap(process);
}

}  // namespace

std::vector<std::string> measured_shares(const MeasureOptions& options) {
  std::vector<std::string> shares;
  for (int slot = 0; slot < std::min(options.slots, kMostSlots); ++slot)
    shares.push_back(format_cores(slot_cores(options.cores, slot, options.slots)));
  if (options.slots > 1) return shares;
  std::vector<int> others;
  for (int core : options.machine_cores)
    if (std::count(options.cores.begin(), options.cores.end(), core) == 0) others.push_back(core);
  others.resize(std::min(others.size(), options.cores.size()));
  shares.push_back(others.empty() ? shares.front() : format_cores(others));
  return shares;
}

absl::StatusOr<v1::Constants> constants(const MeasureOptions& options) {
  const std::string kept = options.data + "/constants", fresh = kept + ".new", log = options.data + "/constants.log";
  const std::string of = what_for(options);
  if (auto before = read(kept); before.ok() && before->of() == of) return before;
  std::vector<std::string> command{options.executor, "--parent", absl::StrCat(getpid()), "--measure", fresh};
  for (const std::string& share : measured_shares(options)) command.insert(command.end(), {"--share", share});
  std::filesystem::remove(log);
  absl::StatusOr<Process> process = spawn(command, log);
  if (!process.ok()) return process.status();
  prefer_for_oom(process->pid);  // it inherits that we are spared
  const ExitStatus exit = wait_for(*process);
  auto measured = read(fresh);
  std::filesystem::remove(fresh);
  if (exit.code != 0 || !measured.ok())
    return absl::UnavailableError(absl::StrCat("ds-executor --measure ", exit.text, ": ", tail(log)));
  measured->set_of(of);
  if (absl::Status written = write_file_atomically(kept, measured->SerializeAsString()); !written.ok()) return written;
  return measured;
}

}  // namespace ds::worker

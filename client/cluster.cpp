#include "client/cluster.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/address.h"
#include "client/process.h"

namespace ds::client {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kStopPatience{20};

// Two commands do not start or stop a cluster at once. Let go with the process.
class Lock {
 public:
  Lock() {
    fs::create_directories(state_dir());
    fd_ = open((state_dir() + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  ~Lock() { close(fd_); }
  Lock(const Lock&) = delete;

 private:
  int fd_ = -1;
};

absl::Status write_json(const std::string& path, const Json& document) {
  const std::string fresh = path + ".new";
  std::ofstream out(fresh);
  out << document.dump(2) << "\n";
  out.close();
  std::error_code error;
  if (out) fs::rename(fresh, path, error);
  return out && !error ? absl::OkStatus() : absl::InternalError(absl::StrCat("cannot write ", path));
}

std::string tail(const std::string& path) {
  constexpr int kLines = 10;
  std::ifstream in(path);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
  return lines.empty() ? "" : absl::StrCat("\n  ", absl::StrJoin(lines, "\n  "));
}

std::vector<ProcessId> workers_of(const Json& record) {
  std::vector<ProcessId> out;
  for (const Json& worker : record.value("workers", Json::array())) out.push_back(process_of(worker));
  return out;
}

// One daemon on its way up.
struct Starting {
  std::string name, ready_file;
  Json document;  // of the record
};

absl::StatusOr<Starting> start(const std::string& program, const std::string& name, const std::string& data,
                               std::vector<std::string> flags) {
  const std::string path = absl::StrCat(program_folder(), "/", program);
  if (!fs::exists(path))
    return absl::NotFoundError(absl::StrCat("no ", program, " beside dsctl, in ", program_folder()));
  Starting daemon{name, absl::StrCat(data, "/run/", name, ".json"), {}};
  const std::string log = absl::StrCat(data, "/logs/", name, ".log");
  fs::create_directories(data + "/run");
  fs::create_directories(data + "/logs");
  fs::remove(daemon.ready_file);
  flags.insert(flags.begin(), path);
  flags.insert(flags.end(), {"--ready-file", daemon.ready_file});
  absl::StatusOr<ProcessId> process = spawn_detached(flags, log);
  if (!process.ok()) return process.status();
  daemon.document = {{"name", name}, {"pid", process->pid}, {"start", process->start}, {"log", log}};
  return daemon;
}

// What the daemon wrote when it was ready.
absl::StatusOr<Json> await_ready(const Starting& daemon, Steady::time_point deadline) {
  const std::string log = daemon.document["log"];
  for (;;) {
    Json ready = read_json(daemon.ready_file);
    if (ready.is_object()) return ready;
    if (!alive(process_of(daemon.document)))
      return absl::InternalError(absl::StrCat(daemon.name, " ended before it was ready; its log ", log, tail(log)));
    if (Steady::now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat(daemon.name, " is not ready in time; its log ", log, tail(log)));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::Status start_coordinator(const ClusterOptions& options, Steady::time_point deadline, Json* record) {
  std::vector<std::string> flags = {"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", options.data};
  if (!options.log_level.empty()) flags.insert(flags.end(), {"--log-level", options.log_level});
  absl::StatusOr<Starting> daemon = start("ds-coordinator", "coordinator", options.data, flags);
  if (!daemon.ok()) return daemon.status();
  (*record)["coordinator"] = daemon->document;
  absl::StatusOr<Json> ready = await_ready(*daemon, deadline);
  if (!ready.ok()) return ready.status();
  (*record)["address"] = ready->value("address", "");
  (*record)["http"] = ready->value("http", "");
  return absl::OkStatus();
}

absl::Status start_workers(const ClusterOptions& options, Steady::time_point deadline, Json* record) {
  const std::vector<int> cores = usable_cores();
  std::vector<Starting> started;
  for (int i = 0; i < options.workers; ++i) {
    const std::string name = absl::StrCat("worker-", i + 1);
    const std::string share = absl::StrJoin(share_of_cores(cores, options.workers, i), ",");
    std::vector<std::string> flags = {"--coordinator", (*record)["address"],
                                      "--name",        name,
                                      "--slots",       absl::StrCat(options.slots),
                                      "--cores",       share,
                                      "--data",        absl::StrCat(options.data, "/", name),
                                      "--metrics",     "127.0.0.1:0"};
    if (!options.log_level.empty()) flags.insert(flags.end(), {"--log-level", options.log_level});
    absl::StatusOr<Starting> daemon = start("ds-worker", name, options.data, flags);
    if (!daemon.ok()) return daemon.status();
    daemon->document["slots"] = options.slots;
    daemon->document["cores"] = share;
    (*record)["workers"].push_back(daemon->document);
    started.push_back(*std::move(daemon));
  }
  for (size_t i = 0; i < started.size(); ++i) {
    absl::StatusOr<Json> ready = await_ready(started[i], deadline);
    if (!ready.ok()) return ready.status();
    (*record)["workers"][i]["metrics"] = ready->value("metrics", "");
  }
  return absl::OkStatus();
}

// Stops what the record names. Ranks outlive a worker that is killed, so look for those too.
Json stop_all(const Json& record) {
  const std::vector<ProcessId> workers = workers_of(record);
  const std::vector<ProcessId> coordinator = {process_of(record.value("coordinator", Json::object()))};
  int stopped = 0;
  for (const auto* group : {&workers, &coordinator})
    for (const ProcessId& p : *group) stopped += alive(p) ? 1 : 0;
  int killed = stop(workers, kStopPatience) + stop(coordinator, kStopPatience);
  const std::vector<ProcessId> ranks =
      find_processes(program_folder() + "/ds-executor", record.value("data", "?") + "/");
  stop(ranks, std::chrono::seconds(2));
  return {{"stopped", stopped + ranks.size()}, {"killed", killed}};
}

bool any_alive(const Json& record) {
  std::vector<ProcessId> all = workers_of(record);
  all.push_back(process_of(record.value("coordinator", Json::object())));
  return std::any_of(all.begin(), all.end(), alive);
}

// How a lost coordinator comes back, with its state and where the workers look for it: they reconnect by themselves.
std::string revival(const Json& record) {
  return absl::StrCat("start it again with `ds-coordinator --listen ", record.value("address", ""), " --http ",
                      record.value("http", ""), " --data ", record.value("data", ""), "`");
}

}  // namespace

Json read_json(const std::string& path) {
  std::ifstream in(path);
  return Json::parse(in, nullptr, false);
}

ProcessId process_of(const Json& daemon) { return {daemon.value("pid", 0), daemon.value("start", uint64_t{0})}; }

std::vector<int> share_of_cores(const std::vector<int>& cores, int workers, int index) {
  const int count = static_cast<int>(cores.size());
  if (workers >= count) return {cores[index % count]};
  return {cores.begin() + count * index / workers, cores.begin() + count * (index + 1) / workers};
}

absl::StatusOr<Json> cluster_up(const ClusterOptions& given) {
  ClusterOptions options = given;
  if (options.data.empty()) options.data = state_dir() + "/data";
  options.data = fs::absolute(options.data).lexically_normal();
  const Lock lock;
  if (const Json old = read_json(cluster_file()); old.is_object() && any_alive(old))
    return absl::FailedPreconditionError(
        absl::StrCat("a cluster is up at ", old.value("address", "?"),
                     "; `dsctl cluster status` shows it, `dsctl cluster down` stops it",
                     alive(process_of(old.value("coordinator", Json::object())))
                         ? ""
                         : ". Its coordinator is gone while workers train on: " + revival(old)));
  const auto deadline = Steady::now() + std::chrono::milliseconds(static_cast<int64_t>(options.seconds * 1000));
  Json record = {{"address", ""},
                 {"http", ""},
                 {"data", options.data},
                 {"logs", options.data + "/logs"},
                 {"coordinator", Json::object()},
                 {"workers", Json::array()}};
  absl::Cleanup undo = [&] { stop_all(record); };
  if (absl::Status status = start_coordinator(options, deadline, &record); !status.ok()) return status;
  if (absl::Status status = start_workers(options, deadline, &record); !status.ok()) return status;
  if (absl::Status status = write_json(cluster_file(), record); !status.ok()) return status;
  std::move(undo).Cancel();
  return record;
}

absl::StatusOr<Json> cluster_down() {
  const Lock lock;
  const Json record = read_json(cluster_file());
  if (!record.is_object()) return absl::NotFoundError("no cluster is up; start one with `dsctl cluster up`");
  Json outcome = stop_all(record);
  fs::remove(cluster_file());
  return outcome;
}

}  // namespace ds::client

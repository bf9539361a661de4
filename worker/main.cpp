// ds-worker: lends this machine's slots to a cluster.
#include <prometheus/exposer.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "worker/agent.h"
#include "worker/constants.h"
#include "worker/cores.h"
#include "worker/executor_service.h"
#include "worker/logging.h"
#include "worker/memory.h"
#include "worker/metrics.h"

namespace {

using namespace ds;
using namespace ds::worker;

struct Flags {
  AgentOptions agent;
  std::string coordinator, metrics = "127.0.0.1:0", ready_file, cores;
  std::vector<std::string> labels;
};

std::string host_name() {
  char name[256] = "worker";
  gethostname(name, sizeof name - 1);
  return name;
}

std::string beside_itself(const char* program) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / program;
}

void describe(CLI::App& app, Flags& flags) {
  AgentOptions& a = flags.agent;
  a.name = host_name();
  a.data = "ds-worker-data";
  a.executor = beside_itself("ds-executor");
  app.add_option("--coordinator", flags.coordinator, "HOST:PORT of the coordinator")->required();
  app.add_option("--name", a.name, "stable name of this worker")->capture_default_str();
  app.add_option("--slots", a.slots, "ranks that may run here at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--label", flags.labels, "topology, as KEY=VALUE; may be repeated");
  app.add_option("--data", a.data, "folder of logs and sockets")->capture_default_str();
  app.add_option("--metrics", flags.metrics, "HOST:PORT of /metrics; port 0: any free one")->capture_default_str();
  app.add_option("--ready-file", flags.ready_file, "written once the coordinator has accepted this worker");
  app.add_option("--executor", a.executor, "the program that runs one rank")->capture_default_str();
  app.add_option("--python", a.python, "the interpreter of script jobs")->envname("DS_PYTHON")->capture_default_str();
  app.add_option("--cores", flags.cores, "cores to share among the slots, like 0,2-3; default: all");
  app.add_option("--artifact-cache", a.artifact_bytes, "most bytes of fetched artifacts to keep, such as 32GiB")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--log-level", a.log_level, "trace, debug, info, warning, error or off")->capture_default_str();
}

// Fills what needs more than a flag's own syntax.
absl::Status complete(Flags& flags) {
  AgentOptions& a = flags.agent;
  for (const std::string& label : flags.labels) {
    size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("[label] got \"", label, "\"; allowed: KEY=VALUE"));
    }
    a.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  a.labels.emplace("host", host_name());
  a.cores = allowed_cores();
  if (!flags.cores.empty()) {
    absl::StatusOr<std::vector<int>> cores = parse_cores(flags.cores);
    if (!cores.ok()) return cores.status();
    a.cores = *cores;
  }
  if (absl::Status made = make_folders(a.data); !made.ok()) return made;
  a.data = std::filesystem::absolute(a.data).lexically_normal();
  a.socket = socket_path(a.data);
  std::random_device random;
  a.incarnation = absl::StrCat(getpid(), "-", absl::Hex(random()), absl::Hex(random()));
  return absl::OkStatus();
}

std::string with_port(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

std::unique_ptr<prometheus::Exposer> listen_for_scrapes(const std::string& address) {
  try {
    return std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception&) {  // its own words do not say where
    throw std::runtime_error(absl::StrCat("[metrics] cannot listen on \"", address, "\"; allowed: a free HOST:PORT"));
  }
}

// Before the coordinator may place anything here: what runs and what is measured would slow each other.
void measure_slots(AgentOptions& a) {
  auto measured = constants({a.executor, a.data, a.cores, allowed_cores(), a.slots});
  if (!measured.ok()) {
    spdlog::warn("slots could not be measured, so data_parallel: auto does not use them: {}",
                 std::string(measured.status().message()));
    return;
  }
  a.constants = *std::move(measured);
  const v1::Constants& c = *a.constants;
  spdlog::info("slots matmul={:.3g} FLOP/s memory={:.3g} bytes/s all_reduce={:.3g} bytes/s", c.busy().matmul_flops(),
               c.busy().memory_bytes(), c.all_reduce_bytes());
}

int run(Flags& flags, const sigset_t& signals) {
  measure_slots(flags.agent);
  std::unique_ptr<prometheus::Exposer> exposer = listen_for_scrapes(flags.metrics);
  flags.agent.metrics_address = with_port(flags.metrics, exposer->GetListeningPorts().front());
  Supervisor supervisor;
  const std::unique_ptr<ArtifactSource> source = make_coordinator_source(flags.coordinator);
  ArtifactCache artifacts({flags.agent.data + "/artifacts", flags.agent.artifact_bytes}, *source,
                          [&supervisor] { supervisor.wake(); });
  Agent agent(flags.agent, supervisor, artifacts);
  auto metrics = std::make_shared<AgentMetrics>(agent, flags.agent.name);
  exposer->RegisterCollectable(metrics);
  auto server = ExecutorServer::start(flags.agent.socket, agent);
  if (!server.ok()) {
    std::cerr << server.status().message() << "\n";
    return 1;
  }
  std::thread parent([&] {
    supervisor.run({[&](uint64_t id) { agent.process_ended(id); },
                    [&](double now, double late) { return agent.tick(now, late); }});
  });
  CoordinatorLink link(flags.coordinator, agent);
  link.start();
  spdlog::info("started pid={} slots={} cores={} coordinator={} metrics={}", getpid(), flags.agent.slots,
               format_cores(flags.agent.cores), flags.coordinator, flags.agent.metrics_address);
  std::atomic<bool> over{false};
  std::thread signal_reader([&] {
    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && !over) agent.shut_down();
  });
  std::thread announcer([&] {
    if (flags.ready_file.empty() || !agent.wait_until_registered()) return;
    nlohmann::json ready = {{"name", flags.agent.name}, {"metrics", flags.agent.metrics_address}, {"pid", getpid()}};
    absl::Status written = write_file_atomically(flags.ready_file, ready.dump() + "\n");
    if (!written.ok()) spdlog::error("{}", std::string(written.message()));
  });
  int code = agent.wait_until_over();
  over = true;
  pthread_kill(signal_reader.native_handle(), SIGTERM);
  signal_reader.join();
  announcer.join();
  link.stop();
  supervisor.stop();
  parent.join();
  server->reset();
  spdlog::info("ended code={}", code);
  spdlog::shutdown();
  std::_Exit(code);  // the HTTP server's own way to stop takes seconds
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: one reads them all
  signal(SIGPIPE, SIG_IGN);
  spare_from_oom();
  Flags flags;
  CLI::App app("Lends this machine's slots to a DeepSeek cluster", "ds-worker");
  describe(app, flags);
  CLI11_PARSE(app, argc, argv);
  try {
    start_logging("worker=" + flags.agent.name, flags.agent.log_level);
    if (absl::Status s = complete(flags); !s.ok()) {
      std::cerr << s.message() << "\n";
      return 2;
    }
    return run(flags, signals);
  } catch (const std::exception& e) {
    std::cerr << "[ds-worker] " << e.what() << "\n";
    return 1;
  }
}

// ds-coordinator: takes jobs, places them on workers, and forgets nothing.
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "coordinator/daemon.h"
#include "coordinator/http.h"
#include "coordinator/log.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/tune_service.h"
#include "coordinator/rpc/worker_service.h"

namespace {

using namespace ds::coordinator;

struct Flags {
  std::string listen = "127.0.0.1:7070";
  std::string http = "127.0.0.1:7071";
  std::string data = "ds-data";
  std::string ready_file;
  std::string log_level = "info";
  uint64_t artifact_limit = uint64_t{16} << 30;
  double artifact_grace = 7 * 86400;  // seconds
};

int fail(const absl::Status& status) {
  spdlog::critical("event=start error={}", in_quotes(status.message()));
  return 1;
}

// Whoever waits for the file finds it whole.
absl::Status write_ready(const Flags& flags, const std::string& address, const std::string& http) {
  if (flags.ready_file.empty()) return absl::OkStatus();
  const std::string temporary = absl::StrCat(flags.ready_file, ".", getpid());
  std::ofstream out(temporary);
  out << nlohmann::json{{"address", address}, {"http", http}, {"pid", getpid()}}.dump() << "\n";
  out.close();
  if (!out || std::rename(temporary.c_str(), flags.ready_file.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("[ready-file] cannot write ", flags.ready_file));
  }
  return absl::OkStatus();
}

int run(const Flags& flags) {
  // Taken by sigwait() below, so every thread must leave them alone.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  if (!flags.ready_file.empty()) std::remove(flags.ready_file.c_str());  // of an earlier run
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::open(
      flags.data,
      {static_cast<int64_t>(std::min<uint64_t>(flags.artifact_limit, INT64_MAX)), absl::Seconds(flags.artifact_grace)});
  if (!daemon.ok()) return fail(daemon.status());
  auto jobs = make_job_service(**daemon);
  auto workers = make_worker_service(**daemon);
  auto artifacts = make_artifact_service(**daemon);
  auto studies = make_tune_service(**daemon);

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(flags.listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second coordinator must not share the port unnoticed
  // A client that is stopped, or whose machine is gone, must not hold half a file and a thread for ever.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  builder.RegisterService(jobs.get());
  builder.RegisterService(workers.get());
  builder.RegisterService(artifacts.get());
  builder.RegisterService(studies.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) return fail(absl::UnavailableError(absl::StrCat("[grpc] cannot listen on ", flags.listen)));
  const std::string address = absl::StrCat(flags.listen.substr(0, flags.listen.rfind(':')), ":", port);
  server->GetHealthCheckService()->SetServingStatus(true);

  absl::StatusOr<std::unique_ptr<Http>> http = Http::serve(**daemon, flags.http);
  if (!http.ok()) return fail(http.status());
  if (absl::Status status = write_ready(flags, address, (*http)->address()); !status.ok()) return fail(status);
  spdlog::info("event=serving address={} http={} data={} pid={}", address, (*http)->address(), flags.data, getpid());

  int signal = 0;
  sigwait(&ends, &signal);
  spdlog::info("event=stopping signal={}", signal);
  (*daemon)->stop_sweeping();
  http->reset();
  server->Shutdown(std::chrono::system_clock::now());
  (*daemon)->stop_deciding();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Takes training jobs, places them on workers, and forgets nothing.", "ds-coordinator");
  app.add_option("--listen", flags.listen, "HOST:PORT of the gRPC API; port 0 picks a free one")->capture_default_str();
  app.add_option("--http", flags.http, "HOST:PORT of /metrics and the status page")->capture_default_str();
  app.add_option("--data", flags.data, "folder of the log, the ranks' logs and the jobs' folders")
      ->capture_default_str();
  app.add_option("--ready-file", flags.ready_file, "written when serving: {\"address\", \"http\", \"pid\"}");
  app.add_option("--artifact-limit", flags.artifact_limit, "most bytes of one artifact, such as 16GiB")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--artifact-grace", flags.artifact_grace,
                 "how long an artifact stays that no live job names, such as 7d")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}));
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error, critical")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  spdlog::set_default_logger(spdlog::stderr_logger_mt("ds-coordinator"));
  spdlog::set_pattern("time=%Y-%m-%dT%H:%M:%S.%f%z level=%l %v");
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  return run(flags);
}

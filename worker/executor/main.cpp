// ds-executor: one rank of one job, spawned by ds-worker.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <new>

#include "absl/strings/str_cat.h"
#include "engine/comm/communicator.h"
#include "engine/train/trainer.h"
#include "worker/cores.h"
#include "worker/executor/inquiry.h"
#include "worker/executor/script.h"
#include "worker/executor/session.h"
#include "worker/executor/translate.h"
#include "worker/logging.h"
#include "worker/process.h"

namespace {

using namespace ds;

constexpr int kFailed = 1, kUserError = 2, kStopped = 75;

struct Flags {
  std::string job_file, socket, cores, python = "python3", log_level = "info";
  std::string profile, measure;
  std::vector<std::string> shares;
  int parent = 0, threads = 1;
};

// The worker's death is ours, however it comes.
void die_with_parent(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (parent > 0 && getppid() != parent) _exit(kFailed);  // it died before the line above
}

v1::StartRank read_start(const std::string& path) {
  v1::StartRank start;
  std::ifstream file(path, std::ios::binary);
  if (!file || !start.ParseFromIstream(&file)) throw std::runtime_error("[ds-executor] cannot read " + path);
  return start;
}

v1::ExecutorDone failed(const std::string& error, v1::FailureClass failure) {
  v1::ExecutorDone done;
  done.set_error(error);
  done.set_failure(failure);
  done.set_retryable(failure == v1::FAILURE_OOM || failure == v1::FAILURE_INFRASTRUCTURE);
  spdlog::error("{}", error);
  return done;
}

v1::ExecutorDone train_model(const v1::StartRank& start, int threads, comm::Endpoint& endpoint,
                             const std::vector<std::string>& peers, worker::Session& session,
                             worker::Reporter& reporter) {
  v1::ExecutorDone done;
  try {
    std::unique_ptr<comm::Communicator> communicator = endpoint.connect(start.rank(), peers);
    spdlog::info("training ranks={} transport={} threads={}", start.ranks(), communicator->transport(), threads);
    session.training();
    train::TrainEnd end = train::train(worker::to_config(start, threads), *communicator, reporter);
    done.set_succeeded(end == train::TrainEnd::finished);
    done.set_stopped(end == train::TrainEnd::stopped);
    spdlog::info("{} step={}", done.stopped() ? "stopped" : "finished", reporter.status().step.load());
    return done;
  } catch (const train::Diverged& e) {
    return failed(e.what(), v1::FAILURE_NAN);
  } catch (const train::UserError& e) {
    return failed(e.what(), v1::FAILURE_USER_ERROR);
  } catch (const std::bad_alloc& e) {
    return failed(absl::StrCat("out of memory: ", e.what()), v1::FAILURE_OOM);
  } catch (const std::exception& e) {
    return failed(e.what(), v1::FAILURE_INFRASTRUCTURE);
  }
}

// Once all ranks are there. A script's ranks meet by themselves, if they want to: `endpoint` is null.
v1::ExecutorDone run_rank(const v1::StartRank& start, const Flags& flags, comm::Endpoint* endpoint,
                          worker::Session& session, worker::Reporter& reporter) {
  std::optional<std::vector<std::string>> peers = session.wait_for_peers();
  v1::ExecutorDone done;
  done.set_stopped(!peers);
  if (!peers) return done;
  if (endpoint) return train_model(start, flags.threads, *endpoint, *peers, session, reporter);
  session.training();
  return worker::run_script(start, {flags.python, flags.threads}, reporter);
}

int run(const Flags& flags) {
  v1::StartRank start = read_start(flags.job_file);
  worker::start_logging(worker::log_fields(start), flags.log_level);
  if (!flags.cores.empty() && !worker::run_on(flags.cores))
    spdlog::warn("cannot run on cores {}; running on any", flags.cores);
  worker::Fence fence(start.job_dir(), start.generation());
  worker::Reporter reporter(start);
  worker::Session session(flags.socket, reporter, fence);
  std::unique_ptr<comm::Endpoint> endpoint;
  if (start.spec().model().script().empty()) endpoint = comm::make_endpoint(start.ranks() > 1 ? "ucx" : "self");
  v1::ExecutorHello hello;
  hello.set_job(start.job());
  hello.set_generation(start.generation());
  hello.set_rank(start.rank());
  hello.set_pid(getpid());
  hello.set_address(endpoint ? endpoint->address() : "none");  // a coordinator waits until every rank has one
  session.hello(hello);
  v1::ExecutorDone done = run_rank(start, flags, endpoint.get(), session, reporter);
  session.done(done);
  if (done.succeeded()) return 0;
  return done.stopped() ? kStopped : done.retryable() ? kFailed : kUserError;
}

void write_message(const std::string& path, const google::protobuf::Message& message) {
  const absl::Status written = worker::write_file_atomically(path, message.SerializeAsString());
  if (!written.ok()) throw std::runtime_error(std::string(written.message()));
}

int answer(const Flags& flags) {
  if (!flags.measure.empty()) {
    write_message(flags.measure, worker::measure(flags.shares));
  } else if (!flags.profile.empty()) {
    write_message(flags.profile, worker::profile_model(read_start(flags.job_file)));
  } else if (flags.job_file.empty() || flags.socket.empty()) {
    std::cerr << "[ds-executor] --job-file and --socket are needed\n";
    return kUserError;
  } else {
    return run(flags);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);  // a log that is cut by a kill still has its last lines
  Flags flags;
  CLI::App app("Runs one rank of a job; started by ds-worker", "ds-executor");
  app.add_option("--job-file", flags.job_file, "the StartRank message, binary");
  app.add_option("--socket", flags.socket, "the worker's Unix socket");
  app.add_option("--profile", flags.profile, "write the profile of the job's model there, and end")
      ->needs("--job-file");
  auto* shares = app.add_option("--share", flags.shares, "--measure: cores of a slot; once for each");
  app.add_option("--measure", flags.measure, "write what slots reach there, and end")->needs(shares);
  app.add_option("--parent", flags.parent, "pid of the worker");
  app.add_option("--cores", flags.cores, "cores to run on");
  app.add_option("--threads", flags.threads, "compute threads")->check(CLI::Range(1, 4096));
  app.add_option("--python", flags.python, "the interpreter of script jobs");
  app.add_option("--log-level", flags.log_level, "level of the log");
  CLI11_PARSE(app, argc, argv);
  die_with_parent(flags.parent);
  try {
    return answer(flags);
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return kFailed;
  }
}

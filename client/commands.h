// The commands of dsctl. Each is added to the tree of commands with what it does; main() runs the chosen one.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "client/client.h"
#include "client/view.h"

namespace ds::client {

// Documented in docs/cli.md, and stable.
enum ExitCode {
  kOk = 0,
  kJobFailed = 1,  // with --wait or watch: the job ended, and not as SUCCEEDED
  kUsage = 2,      // a wrong command line or job file
  kNotFound = 3,   // no such job, worker or cluster; of plan: nothing fits
  kNoCoordinator = 4,
  kConflict = 5,  // the state of things does not allow it
  kOther = 6,
  kTimeout = 124,
};
int exit_code(const absl::Status& status);

// What all commands share: the global options, and the command to run.
struct Shell {
  std::string coordinator;
  Format format = Format::kTable;
  double timeout = 0;  // seconds; 0: not given
  double retry = 2;    // seconds
  std::function<int()> command;

  ClientOptions options() const;
  Client client() const { return Client(options()); }
  Clock::time_point until() const;  // of a command that waits
  // Prints to stdout.
  int show(const View& view) const;
  // Prints one of several documents, as soon as it is there: a line of JSON, or a YAML document.
  void show_next(const Json& document) const;
  // Says what went wrong on stderr.
  int fail(const absl::Status& status) const;
};

// A file that the user named, whole; "-": stdin. `kind`: "job file".
absl::StatusOr<std::string> read_user_file(const std::string& file, const std::string& kind);
// An error with the file's name before each of its lines.
absl::Status said_of_file(const std::string& file, const absl::Status& status);

void add_job_commands(CLI::App& app, Shell& shell);
void add_tune_commands(CLI::App& app, Shell& shell);
void add_worker_commands(CLI::App& app, Shell& shell);
void add_cluster_commands(CLI::App& app, Shell& shell);
void add_plan_commands(CLI::App& app, Shell& shell);
void add_sim_commands(CLI::App& app, Shell& shell);
void add_artifact_commands(CLI::App& app, Shell& shell);
void add_pipeline_command(CLI::App& app, Shell& shell);  // sim pipeline; makes the noun where it is not there yet

}  // namespace ds::client

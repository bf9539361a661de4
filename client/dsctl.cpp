// dsctl: DeepSeek's command line. docs/cli.md is its manual.
#include <iostream>
#include <map>

#include "client/commands.h"

namespace ds::client {

int exit_code(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kUsage;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kUnavailable:
      return kNoCoordinator;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
      return kConflict;
    case absl::StatusCode::kDeadlineExceeded:
      return kTimeout;
    default:
      return kOther;
  }
}

ClientOptions Shell::options() const {
  ClientOptions options;
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1e3));
  };
  options.address = coordinator_address(coordinator);
  options.patience = milliseconds(retry);
  if (timeout > 0) options.deadline = std::min(options.deadline, milliseconds(timeout));
  return options;
}

Clock::time_point Shell::until() const {
  if (timeout <= 0) return Clock::time_point::max();
  return Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(timeout * 1e3));
}

int Shell::show(const View& view) const {
  std::cout << render(view, format) << std::flush;
  return kOk;
}

void Shell::show_next(const Json& document) const {
  if (format == Format::kYaml) {
    std::cout << "---\n" << to_yaml(document) << std::flush;
  } else {
    std::cout << document.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
  }
}

int Shell::fail(const absl::Status& status) const {
  std::cout << std::flush;
  std::cerr << "dsctl: " << std::string(status.message()) << "\n";
  return exit_code(status);
}

namespace {

constexpr char kFooter[] =
    "Exit codes: 0 ok; 1 the awaited job did not succeed; 2 wrong command line or job file; 3 not found;\n"
    "4 no coordinator; 5 the state does not allow it; 6 other errors; 124 out of time.";

void describe(CLI::App& app, Shell& shell) {
  static const std::map<std::string, Format> kFormats = {
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}, {"name", Format::kName}};
  app.fallthrough();  // global options may stand after the command
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", DS_VERSION);
  app.add_option("--coordinator", shell.coordinator,
                 "HOST:PORT; default: $DS_COORDINATOR, else the cluster of `dsctl cluster up`, else 127.0.0.1:7070");
  app.add_option("-o,--output", shell.format, "table, json, yaml or name")
      ->transform(CLI::Transformer(kFormats).description(""))
      ->type_name("FORMAT");
  app.add_option("--timeout", shell.timeout, "seconds: of a waiting command in all, else of each call (10)")
      ->check(CLI::PositiveNumber);
  app.add_option("--retry", shell.retry, "seconds to go on trying while no coordinator answers")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_job_commands(app, shell);
  add_worker_commands(app, shell);
  add_cluster_commands(app, shell);
}

int run(int argc, char** argv) {
  Shell shell;
  CLI::App app("Submits and follows training jobs on a DeepSeek cluster", "dsctl");
  describe(app, shell);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  return shell.command();
}

}  // namespace
}  // namespace ds::client

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(true);  // the progress bar writes through stdio
  try {
    return ds::client::run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "dsctl: " << e.what() << "\n";
    return ds::client::kOther;
  }
}

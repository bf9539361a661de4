// dsctl: DeepSeek's command line. docs/cli.md is its manual.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/commands.h"
#include "proto/spec/nearest.h"

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

absl::StatusOr<std::string> read_user_file(const std::string& file, const std::string& kind) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file))
    return absl::InvalidArgumentError(absl::StrCat("cannot read the ", kind, " ", file));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::Status said_of_file(const std::string& file, const absl::Status& status) {
  const std::string where = file == "-" ? "stdin: " : file + ": ";
  return absl::Status(status.code(),
                      absl::StrCat(where, absl::StrReplaceAll(status.message(), {{"\n", "\n" + where}})));
}

namespace {

constexpr char kFooter[] =
    "Exit codes: 0 ok; 1 the awaited job or study did not succeed; 2 wrong command line or file; 3 not found;\n"
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
  const auto refuse_unknown = [](const std::string& word) {
    return kFormats.count(word) > 0 ? "" : "\"" + word + "\" is not one of table, json, yaml, name";
  };
  app.add_option("-o,--output", shell.format, "table, json, yaml or name")
      ->transform(CLI::Transformer(kFormats).description(""))
      ->transform(CLI::Validator(refuse_unknown, ""))  // goes before
      ->type_name("FORMAT");
  app.add_option("--timeout", shell.timeout, "seconds: of a waiting command in all, else of each call (10)")
      ->check(CLI::PositiveNumber);
  app.add_option("--retry", shell.retry, "seconds to go on trying while no coordinator answers")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_job_commands(app, shell);
  add_tune_commands(app, shell);
  add_worker_commands(app, shell);
  add_artifact_commands(app, shell);
  add_cluster_commands(app, shell);
  add_plan_commands(app, shell);
  add_sim_commands(app, shell);
  add_pipeline_command(app, shell);
}

std::string names_of(const CLI::App& app, std::vector<std::string>* names) {
  std::string list;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names->push_back(command->get_name());
    list += (list.empty() ? "" : ", ") + names->back();
  }
  return list;
}

bool takes_value(const CLI::App& app, const std::string& word) {
  const CLI::Option* option = app.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

// What is wrong with the nouns and verbs of a command line, or "": the parser's own words do not name them.
std::string wrong_command(const CLI::App& root, const std::vector<std::string>& words) {
  const CLI::App* app = &root;
  std::string so_far = root.get_name();
  std::vector<std::string> names;
  std::string list = names_of(root, &names);
  for (size_t i = 0; i < words.size() && !names.empty(); ++i) {
    if (words[i][0] == '-') {
      if (takes_value(root, words[i])) ++i;
      continue;
    }
    if (std::find(names.begin(), names.end(), words[i]) == names.end()) {
      const std::string meant = spec::nearest(words[i], names);
      return "no command \"" + words[i] + "\" of " + so_far + (meant.empty() ? "" : ", did you mean " + meant + "?") +
             "; there are " + list;
    }
    app = app->get_subcommand(words[i]);
    so_far += " " + words[i];
    names.clear();
    list = names_of(*app, &names);
  }
  return names.empty() ? "" : so_far + " needs a command: " + list;
}

int run(int argc, char** argv) {
  Shell shell;
  CLI::App app("Submits and follows training jobs on a DeepSeek cluster", "dsctl");
  describe(app, shell);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const std::string wrong =
        e.get_exit_code() == 0 ? "" : wrong_command(app, std::vector<std::string>(argv + 1, argv + argc));
    if (!wrong.empty()) return shell.fail(absl::InvalidArgumentError(wrong));
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

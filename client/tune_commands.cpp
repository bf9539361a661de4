// dsctl tune ...
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifacts.h"
#include "client/commands.h"
#include "client/study_documents.h"
#include "client/study_plots.h"
#include "client/study_progress.h"
#include "client/study_views.h"
#include "client/transfers.h"
#include "proto/spec/study_spec.h"

namespace ds::client {
namespace {

// Waits for the study's end, showing how it goes. Returns the exit code that tells how it ended.
int follow_study(const Shell& shell, Client& client, const std::string& id, bool every_change) {
  StudyProgress progress(shell.format == Format::kTable ? stdout : stderr);
  v1::Study last;
  const auto on_change = [&](const v1::Study& study, const Trials& trials) {
    last = study;
    every_change ? shell.show_next(study_document(study)) : progress.show(study, trials);
    return true;
  };
  const auto on_lost = [&](const absl::Status& status) { progress.lost(status); };
  const absl::Status status = client.watch_study(id, on_change, shell.until(), on_lost);
  if (!status.ok()) return shell.fail(status);
  return last.state() == v1::STUDY_SUCCEEDED ? kOk : kJobFailed;
}

int show_study(const Shell& shell, const absl::StatusOr<v1::Study>& study) {
  return study.ok() ? shell.show(study_view(*study)) : shell.fail(study.status());
}

absl::StatusOr<std::string> submit_file(Client& client, const std::string& file, const std::string& name,
                                        const std::string& key) {
  auto text = read_user_file(file, "study file");
  if (!text.ok()) return text.status();
  auto spec = spec::parse_study(*text, name);
  if (!spec.ok()) return said_of_file(file, spec.status());
  const std::string folder = file == "-" ? "" : std::filesystem::path(file).parent_path().string();
  Transfers transfers(stderr);
  const auto show = [&](const Transfer& transfer) { transfers.show(transfer); };
  absl::Status resolved = resolve_artifacts(client, *spec->mutable_job(), folder, show);
  if (!resolved.ok()) return resolved;
  return client.submit_study(*spec, key.empty() ? Client::new_key() : key);
}

int submit_study(const Shell& shell, const std::string& file, const std::string& name, const std::string& key,
                 bool wait) {
  Client client = shell.client();
  auto id = submit_file(client, file, name, key);
  if (!id.ok()) return shell.fail(id.status());
  if (!wait) return shell.show({{{"id", *id}}, {{"ID", text_at("/id")}}});
  if (shell.format == Format::kTable) std::cout << "submitted " << *id << std::endl;
  const int code = follow_study(shell, client, *id, false);
  if (code != kOk && code != kJobFailed) return code;
  const int shown = show_study(shell, client.study(*id));
  return shown == kOk ? code : shown;
}

// A study with its trials, as most of what is shown needs them.
struct StudyAndTrials {
  v1::Study study;
  Trials trials;
};

absl::StatusOr<StudyAndTrials> fetch(Client& client, const std::string& id) {
  auto study = client.study(id);
  if (!study.ok()) return study.status();
  auto trials = client.trials(id);
  if (!trials.ok()) return trials.status();
  return StudyAndTrials{*std::move(study), *std::move(trials)};
}

// What a job file that trains a trial's configuration says of it.
std::string job_file_head(const StudyAndTrials& all, const Json& best) {
  const v1::Recommendation& r = all.study.best();
  const v1::StudySpec& spec = all.study.spec();
  const int64_t id = best["trial"].get<int64_t>();
  const std::string head = absl::StrCat("# study ", all.study.id(), ", trial ", id, ": ");
  if (best.contains("mean"))
    return absl::StrCat(head, spec.objectives(0).metric(), " ", value_text(r.mean()), ", 95 % within [",
                        value_text(r.low()), ", ", value_text(r.high()), "]\n");
  std::string values = "no value";
  for (const v1::Trial& t : all.trials)
    if (t.id() == id && t.values_size() > 0) values = values_text(spec, t.values());
  const size_t front = best.contains("front") ? best["front"].size() : 0;
  return absl::StrCat(head, values,
                      front == 0 ? "" : absl::StrCat("; the knee of a front of ", front, ", for another: --trial N"),
                      "\n");
}

// As YAML it is a job file; of two objectives a table shows the front.
int show_best(const Shell& shell, const StudyAndTrials& all, int64_t trial) {
  auto best = best_document(all.study, all.trials, trial);
  if (!best.ok()) return shell.fail(best.status());
  if (shell.format == Format::kTable && best->contains("front")) return shell.show(front_view(all.study, all.trials));
  if (shell.format != Format::kYaml) return shell.show(best_view(*best));
  std::cout << job_file_head(all, *best) << to_yaml((*best)["job"]) << std::flush;
  return kOk;
}

int write_plot(const Shell& shell, const StudyAndTrials& all, const std::string& kind, const std::string& file) {
  auto picture = plot_study(all.study, all.trials, kind);
  if (!picture.ok()) return shell.fail(picture.status());
  if (file == "-") {
    std::cout << *picture << std::flush;
    return kOk;
  }
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << *picture;
  out.close();
  if (out) return kOk;
  return shell.fail(absl::UnknownError(absl::StrCat("cannot write ", file, ": ", std::strerror(errno))));
}

struct StudyArguments {
  std::string id, file, name, key, kind;
  bool wait = false, csv = false;
  int limit = 0;
  int64_t trial = -1;
};

using OnStudy = std::function<int(Client&, const std::string& id, const StudyArguments&)>;

// Adds `tune VERB ID`; `more` may add options.
void add_study_verb(
    CLI::App* tune, Shell& shell, const std::string& verb, const std::string& help, const OnStudy& what,
    const std::function<void(CLI::App*, StudyArguments&)>& more = [](CLI::App*, StudyArguments&) {}) {
  auto arguments = std::make_shared<StudyArguments>();
  CLI::App* command = tune->add_subcommand(verb, help);
  command->add_option("ID", arguments->id, "id, or the beginning of exactly one id or name")->required();
  more(command, *arguments);
  command->callback([&shell, arguments, what] {
    shell.command = [&shell, arguments, what] {
      Client client = shell.client();
      auto id = client.find_study(arguments->id);
      return id.ok() ? what(client, *id, *arguments) : shell.fail(id.status());
    };
  });
}

// A verb that shows something of a study and its trials.
void add_study_show(
    CLI::App* tune, Shell& shell, const std::string& verb, const std::string& help,
    const std::function<int(const StudyAndTrials&, const StudyArguments&)>& what,
    const std::function<void(CLI::App*, StudyArguments&)>& more = [](CLI::App*, StudyArguments&) {}) {
  const auto run = [&shell, what](Client& client, const std::string& id, const StudyArguments& arguments) {
    auto all = fetch(client, id);
    return all.ok() ? what(*all, arguments) : shell.fail(all.status());
  };
  add_study_verb(tune, shell, verb, help, run, more);
}

void add_study_change(CLI::App* tune, Shell& shell, const std::string& verb, const std::string& help,
                      absl::StatusOr<v1::Study> (Client::*call)(const std::string&, const std::string&)) {
  add_study_verb(tune, shell, verb, help, [&shell, call](Client& client, const std::string& id, const StudyArguments&) {
    return show_study(shell, (client.*call)(id, ""));
  });
}

void add_study_submit(CLI::App* tune, Shell& shell) {
  auto a = std::make_shared<StudyArguments>();
  CLI::App* command = tune->add_subcommand("submit", "Submit a study file (docs/autotune.md)");
  command->add_option("FILE", a->file, "YAML or JSON; - reads stdin")->required();
  command->add_option("--name", a->name, "instead of the file's name");
  command->add_option("--key", a->key, "idempotency key: the same key gives the same study");
  command->add_flag("--wait", a->wait, "show the trials, wait for the study's end, fail unless it SUCCEEDED");
  command->callback(
      [&shell, a] { shell.command = [&shell, a] { return submit_study(shell, a->file, a->name, a->key, a->wait); }; });
}

void add_study_list(CLI::App* tune, Shell& shell) {
  auto a = std::make_shared<StudyArguments>();
  CLI::App* command = tune->add_subcommand("list", "List studies, newest first");
  command->add_option("--limit", a->limit, "only the newest N; 0: all")->check(CLI::Range(0, 1000000));
  command->callback([&shell, a] {
    shell.command = [&shell, a] {
      auto list = shell.client().studies(a->limit);
      return list.ok() ? shell.show(studies_view(*list)) : shell.fail(list.status());
    };
  });
}

void add_study_reads(CLI::App* tune, Shell& shell) {
  using Id = const std::string&;
  using Arguments = const StudyArguments&;
  add_study_verb(tune, shell, "get", "Show a study",
                 [&shell](Client& client, Id id, Arguments) { return show_study(shell, client.study(id)); });
  add_study_verb(tune, shell, "watch", "Show the trials as they run, to the study's end; fail unless it SUCCEEDED",
                 [&shell](Client& client, Id id, Arguments) {
                   return follow_study(shell, client, id, shell.format != Format::kTable);
                 });
  add_study_show(tune, shell, "trials", "List a study's trials", [&shell](const StudyAndTrials& all, Arguments) {
    return shell.show(trials_view(all.study, all.trials));
  });
  add_study_show(
      tune, shell, "best",
      "Show the recommended configuration, of two objectives the front; with -o yaml as a job file",
      [&shell](const StudyAndTrials& all, Arguments a) { return show_best(shell, all, a.trial); },
      [](CLI::App* command, StudyArguments& a) {
        command->add_option("--trial", a.trial, "the configuration of this trial instead")
            ->check(CLI::NonNegativeNumber);
      });
  add_study_verb(tune, shell, "importance", "Show how much each parameter matters",
                 [&shell](Client& client, Id id, Arguments) {
                   auto parameters = client.importance(id);
                   return parameters.ok() ? shell.show(importance_view(*parameters)) : shell.fail(parameters.status());
                 });
}

void add_study_files(CLI::App* tune, Shell& shell) {
  using Arguments = const StudyArguments&;
  const auto print_csv = [](const StudyAndTrials& all, Arguments) {
    std::cout << trials_csv(all.study, all.trials) << std::flush;
    return static_cast<int>(kOk);
  };
  add_study_show(tune, shell, "export", "Print the trials for other programs", print_csv,
                 [](CLI::App* command, StudyArguments& a) {
                   command->add_flag("--csv", a.csv, "as CSV, one line a trial")->required();
                 });
  const auto plot = [&shell](const StudyAndTrials& all, Arguments a) { return write_plot(shell, all, a.kind, a.file); };
  add_study_show(tune, shell, "plot", "Draw a study", plot, [](CLI::App* command, StudyArguments& a) {
    const std::vector<std::string> kinds = plot_kinds();
    a.kind = kinds.front();
    command->add_option("--svg", a.file, "the file to write; - writes to stdout")->required();
    command->add_option("--kind", a.kind, absl::StrJoin(kinds, ", "))
        ->check(CLI::IsMember(kinds))
        ->type_name("KIND")
        ->capture_default_str();
  });
}

}  // namespace

void add_tune_commands(CLI::App& app, Shell& shell) {
  CLI::App* tune = app.add_subcommand("tune", "Search for the best configuration of a job")->require_subcommand(1);
  add_study_submit(tune, shell);
  add_study_list(tune, shell);
  add_study_reads(tune, shell);
  add_study_files(tune, shell);
  add_study_change(tune, shell, "pause", "Pause the trials at checkpoints, and start no more", &Client::pause_study);
  add_study_change(tune, shell, "resume", "Go on with a paused study", &Client::resume_study);
  add_study_change(tune, shell, "cancel", "End a study and its trials", &Client::cancel_study);
}

}  // namespace ds::client

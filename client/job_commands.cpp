// dsctl job ...
#include <filesystem>
#include <iostream>
#include <memory>

#include "client/artifacts.h"
#include "client/commands.h"
#include "client/documents.h"
#include "client/progress.h"
#include "client/transfers.h"
#include "proto/spec/job_spec.h"

namespace ds::client {
namespace {

absl::StatusOr<v1::JobSpec> read_job(const std::string& file, const std::string& name) {
  auto text = read_user_file(file, "job file");
  if (!text.ok()) return text.status();
  auto spec = spec::parse_job(*text, name);
  return spec.ok() ? spec : said_of_file(file, spec.status());
}

// Waits for the job's end, showing how it goes. Returns the exit code that tells how it ended.
int follow(const Shell& shell, Client& client, const std::string& id, bool every_change) {
  Progress progress(shell.format == Format::kTable ? stdout : stderr);
  v1::Job last;
  const auto on_job = [&](const v1::Job& job) {
    last = job;
    every_change ? shell.show_next(job_document(job)) : progress.show(job);
    return true;
  };
  const auto on_lost = [&](const absl::Status& status) { progress.lost(status); };
  if (absl::Status status = client.watch(id, on_job, shell.until(), on_lost); !status.ok()) return shell.fail(status);
  return last.state() == v1::SUCCEEDED ? kOk : kJobFailed;
}

int submit(const Shell& shell, const std::string& file, const std::string& name, const std::string& key, bool wait) {
  auto spec = read_job(file, name);
  if (!spec.ok()) return shell.fail(spec.status());
  Client client = shell.client();
  const std::string folder = file == "-" ? "" : std::filesystem::path(file).parent_path().string();
  {
    Transfers transfers(stderr);
    const auto show = [&](const Transfer& transfer) { transfers.show(transfer); };
    if (absl::Status status = resolve_artifacts(client, *spec, folder, show); !status.ok()) return shell.fail(status);
  }
  auto id = client.submit(*spec, key.empty() ? Client::new_key() : key);
  if (!id.ok()) return shell.fail(id.status());
  if (!wait) return shell.show({{{"id", *id}}, {{"ID", text_at("/id")}}});
  if (shell.format == Format::kTable) std::cout << "submitted " << *id << std::endl;
  const int code = follow(shell, client, *id, false);
  if (code != kOk && code != kJobFailed) return code;
  auto job = client.get(*id);
  if (!job.ok()) return shell.fail(job.status());
  shell.show(job_view(*job));
  return code;
}

int logs(const Shell& shell, const std::string& text, bool follow) {
  Client client = shell.client();
  auto id = client.find(text);
  if (!id.ok()) return shell.fail(id.status());
  const absl::Status status = client.logs(*id, follow, [&](const v1::LogChunk& chunk) {
    if (shell.format == Format::kTable) {
      std::cout << chunk.text() << std::flush;
    } else {
      shell.show_next({{"rank", chunk.rank()}, {"generation", chunk.generation()}, {"text", chunk.text()}});
    }
    return std::cout.good();
  });
  return status.ok() ? kOk : shell.fail(status);
}

int schema(const Shell& shell) {
  if (shell.format != Format::kTable) return shell.show({Json::parse(spec::schema_json()), {}});
  std::cout << spec::schema_markdown();
  return kOk;
}

// The arguments of one command, alive as long as the tree of commands.
struct Arguments {
  std::string id, file, name, key, reason;
  bool wait = false, follow = false;
  int limit = 0;
};

// Adds `job VERB ID`, where `what` is given the client and the id that was meant.
void add_verb(CLI::App* jobs, Shell& shell, const std::string& verb, const std::string& help,
              const std::function<int(Client&, const std::string& id)>& what) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = jobs->add_subcommand(verb, help);
  command->add_option("ID", arguments->id, "id, or the beginning of exactly one id or name")->required();
  command->callback([&shell, arguments, what] {
    shell.command = [&shell, arguments, what] {
      Client client = shell.client();
      auto id = client.find(arguments->id);
      return id.ok() ? what(client, *id) : shell.fail(id.status());
    };
  });
}

void add_change(CLI::App* jobs, Shell& shell, const std::string& verb, const std::string& help,
                absl::StatusOr<v1::Job> (Client::*call)(const std::string&, const std::string&)) {
  add_verb(jobs, shell, verb, help, [&shell, call](Client& client, const std::string& id) {
    auto job = (client.*call)(id, "");
    return job.ok() ? shell.show(job_view(*job)) : shell.fail(job.status());
  });
}

void add_submit(CLI::App* jobs, Shell& shell) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = jobs->add_subcommand("submit", "Submit a job file (docs/job-file.md)");
  command->add_option("FILE", a->file, "YAML or JSON; - reads stdin")->required();
  command->add_option("--name", a->name, "instead of the file's name");
  command->add_option("--key", a->key, "idempotency key: the same key gives the same job");
  command->add_flag("--wait", a->wait, "show the job's progress, wait for its end, fail unless it SUCCEEDED");
  command->callback(
      [&shell, a] { shell.command = [&shell, a] { return submit(shell, a->file, a->name, a->key, a->wait); }; });
}

void add_list(CLI::App* jobs, Shell& shell) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = jobs->add_subcommand("list", "List jobs, newest first");
  command->add_option("--limit", a->limit, "only the newest N; 0: all")->check(CLI::Range(0, 1000000));
  command->callback([&shell, a] {
    shell.command = [&shell, a] {
      auto list = shell.client().list(a->limit);
      return list.ok() ? shell.show(jobs_view(*list)) : shell.fail(list.status());
    };
  });
}

void add_logs(CLI::App* jobs, Shell& shell) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = jobs->add_subcommand("logs", "Print the logs of all ranks");
  command->add_option("ID", a->id, "id, or the beginning of exactly one id or name")->required();
  command->add_flag("-f,--follow", a->follow, "go on until the job has ended");
  command->callback([&shell, a] { shell.command = [&shell, a] { return logs(shell, a->id, a->follow); }; });
}

void add_reads(CLI::App* jobs, Shell& shell) {
  add_verb(jobs, shell, "get", "Show a job", [&shell](Client& client, const std::string& id) {
    auto job = client.get(id);
    return job.ok() ? shell.show(job_view(*job)) : shell.fail(job.status());
  });
  add_verb(jobs, shell, "watch", "Show a job's progress to its end; fail unless it SUCCEEDED",
           [&shell](Client& client, const std::string& id) {
             return follow(shell, client, id, shell.format != Format::kTable);
           });
  add_verb(jobs, shell, "metrics", "Print a job's history", [&shell](Client& client, const std::string& id) {
    auto records = client.metrics(id);
    return records.ok() ? shell.show(metrics_view(*records)) : shell.fail(records.status());
  });
  add_verb(jobs, shell, "result", "Print what a job came to, as one line",
           [&shell](Client& client, const std::string& id) {
             auto job = client.get(id);
             if (!job.ok()) return shell.fail(job.status());
             if (shell.format != Format::kTable) return shell.show({result_document(*job), {}});
             std::cout << "RESULT " << one_line(result_document(*job)) << "\n";
             return static_cast<int>(kOk);
           });
}

}  // namespace

void add_job_commands(CLI::App& app, Shell& shell) {
  CLI::App* jobs = app.add_subcommand("job", "Submit and follow training jobs")->require_subcommand(1);
  add_submit(jobs, shell);
  add_list(jobs, shell);
  add_reads(jobs, shell);
  add_logs(jobs, shell);
  add_change(jobs, shell, "cancel", "End a job", &Client::cancel);
  add_change(jobs, shell, "pause", "Write a checkpoint and free the job's slots", &Client::pause);
  add_change(jobs, shell, "resume", "Go on from the checkpoint", &Client::resume);
  jobs->add_subcommand("schema", "Print what a job file may hold")->callback([&shell] {
    shell.command = [&shell] { return schema(shell); };
  });
}

}  // namespace ds::client

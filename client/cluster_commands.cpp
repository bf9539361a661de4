// dsctl cluster ..., dsctl worker ...
#include <iostream>
#include <memory>

#include "client/cluster.h"
#include "client/commands.h"
#include "client/documents.h"

namespace ds::client {
namespace {

int up(const Shell& shell, ClusterOptions options) {
  if (shell.timeout > 0) options.seconds = shell.timeout;
  auto cluster = cluster_up(options);
  if (!cluster.ok()) return shell.fail(cluster.status());
  if (shell.format != Format::kTable) return shell.show(cluster_view(*cluster));
  std::cout << "cluster is up: " << options.workers << " workers, " << options.workers * options.slots << " slots\n"
            << render(cluster_view(*cluster), Format::kTable) << "dsctl finds it by itself; other programs by:\n"
            << "export DS_COORDINATOR=" << cluster->value("address", "") << "\n";
  return kOk;
}

int down(const Shell& shell) {
  auto outcome = cluster_down();
  // Down is what was asked for, so a second `down` is no failure.
  if (absl::IsNotFound(outcome.status())) outcome = Json{{"stopped", 0}, {"killed", 0}};
  if (!outcome.ok()) return shell.fail(outcome.status());
  return shell.show({*outcome, {{"STOPPED", text_at("/stopped")}, {"KILLED", text_at("/killed")}}});
}

// Adds `worker VERB NAME`.
void add_worker_verb(CLI::App* workers, Shell& shell, const std::string& verb, const std::string& help,
                     absl::StatusOr<v1::Worker> (Client::*call)(const std::string&)) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = workers->add_subcommand(verb, help);
  command->add_option("NAME", *name, "the worker")->required();
  command->callback([&shell, name, call] {
    shell.command = [&shell, name, call] {
      Client client = shell.client();
      auto worker = (client.*call)(*name);
      return worker.ok() ? shell.show(worker_view(*worker)) : shell.fail(worker.status());
    };
  });
}

}  // namespace

void add_cluster_commands(CLI::App& app, Shell& shell) {
  CLI::App* clusters = app.add_subcommand("cluster", "A development cluster on this machine")->require_subcommand(1);
  auto options = std::make_shared<ClusterOptions>();
  CLI::App* start = clusters->add_subcommand("up", "Start a coordinator and workers; becomes the default cluster");
  start->add_option("--workers", options->workers, "worker daemons")->check(CLI::Range(0, 256))->capture_default_str();
  start->add_option("--slots", options->slots, "ranks a worker may run at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  start->add_option("--data", options->data, "folder of jobs, checkpoints and logs; default: in the state folder");
  start->add_option("--log-level", options->log_level, "of the daemons");
  start->callback([&shell, options] { shell.command = [&shell, options] { return up(shell, *options); }; });
  clusters->add_subcommand("down", "Stop it")->callback([&shell] { shell.command = [&shell] { return down(shell); }; });
  clusters->add_subcommand("status", "Show its processes, and whether they answer")->callback([&shell] {
    shell.command = [&shell] {
      auto status = cluster_status();
      return status.ok() ? shell.show(cluster_view(*status)) : shell.fail(status.status());
    };
  });
}

void add_worker_commands(CLI::App& app, Shell& shell) {
  CLI::App* workers = app.add_subcommand("worker", "The machines that lend slots")->require_subcommand(1);
  workers->add_subcommand("list", "List workers")->callback([&shell] {
    shell.command = [&shell] {
      auto list = shell.client().workers();
      return list.ok() ? shell.show(workers_view(*list)) : shell.fail(list.status());
    };
  });
  add_worker_verb(workers, shell, "drain", "Move a worker's ranks elsewhere and give it no new ones", &Client::drain);
  add_worker_verb(workers, shell, "undrain", "Give a drained worker ranks again", &Client::undrain);
  add_worker_verb(workers, shell, "remove", "Forget a worker that is gone", &Client::remove);
}

}  // namespace ds::client

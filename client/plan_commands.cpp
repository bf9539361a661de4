// dsctl plan. It asks no coordinator.
#include <filesystem>
#include <iostream>
#include <memory>

#include "client/commands.h"
#include "client/job_plan.h"
#include "client/planning/inputs.h"
#include "client/planning/report.h"
#include "client/planning/validate.h"

namespace ds::client {
namespace {

constexpr int kDoesNotFit = 3;
constexpr const char* kCluster = "eos";
constexpr double kTokensAParameter = 20;  // arXiv 2203.15556: where a budget of compute is spent best

struct PlanOptions {
  std::string file, cluster = kCluster, fix, software;
  int devices = 0, top = 5;
  double tokens = 0, price = 0;
  bool exhaustive = false;
};

absl::StatusOr<plan::Cluster> cluster_for(const PlanOptions& options, const plan::Wish& wish) {
  auto cluster = read_cluster(options.cluster);
  if (!cluster.ok()) return cluster.status();
  if (!options.software.empty()) {
    auto software = plan::software_preset(options.software);
    if (!software.ok()) return absl::InvalidArgumentError(software.status().message());
    cluster->software = *software;
  }
  if (options.price > 0) cluster->dollars_per_device_hour = options.price;
  int devices = options.devices;
  const auto layout = whole_layout(wish);
  if (devices == 0 && layout) devices = layout->devices();
  if (devices == 0) return cluster;
  return plan::with_devices(*cluster, devices, is_preset(options.cluster));
}

int show_refusal(const Shell& shell, const plan::Transformer& model, const plan::Infeasible& no) {
  if (shell.format != Format::kTable) {
    shell.show({refusal_document(model, no), {}});
    return kDoesNotFit;
  }
  std::cout << "does not fit: " << no.reason << "\n";
  if (no.nearest) {
    std::cout << "the nearest that fits, on " << no.nearest->devices() << " devices: " << layout_text(*no.nearest)
              << "\n";
  }
  std::cout << std::flush;
  return kDoesNotFit;
}

int show_plan(const Shell& shell, const plan::Cluster& cluster, const plan::Transformer& model, const plan::Plan& plan,
              double tokens) {
  Json document = plan_document(cluster, model, plan, tokens > 0 ? tokens : kTokensAParameter * model.parameters());
  document["error_bar"] = simulated();
  if (shell.format != Format::kTable) return shell.show({document, {}});
  std::cout << plan_text(document, plan) << "\n" << simulated() << "\n" << std::flush;
  return kOk;
}

// On this machine's slots; what describes another cluster is no answer to it.
int run_job_plan(const Shell& shell, const PlanOptions& options, const v1::JobSpec& job) {
  const std::pair<const char*, bool> others[] = {{"--cluster", options.cluster != kCluster},
                                                 {"--fix", !options.fix.empty()},
                                                 {"--software", !options.software.empty()},
                                                 {"--tokens", options.tokens > 0},
                                                 {"--price", options.price > 0},
                                                 {"--exhaustive", options.exhaustive}};
  for (const auto& [name, given] : others)
    if (given)
      return shell.fail(absl::InvalidArgumentError(absl::StrCat(
          options.file, ": ", name, " is for transformers; this job is planned on the slots of this machine")));
  auto plan = plan_job(job, std::filesystem::path(options.file).parent_path(), options.devices);
  if (!plan.ok()) return shell.fail(plan.status());
  return shell.show(job_plan_view(*plan, options.top));
}

int run_plan(const Shell& shell, const PlanOptions& options) {
  auto job = read_traced_job(options.file);
  if (!job.ok()) return shell.fail(job.status());
  if (*job) return run_job_plan(shell, options, **job);
  auto model = read_model(options.file);
  if (!model.ok()) return shell.fail(model.status());
  auto wish = parse_wish(options.fix);
  if (!wish.ok()) return shell.fail(wish.status());
  auto cluster = cluster_for(options, *wish);
  if (!cluster.ok()) return shell.fail(cluster.status());
  const auto layout = whole_layout(*wish);
  auto answer = layout ? plan::evaluate(*cluster, *model, *layout)
                       : plan::search(*cluster, *model, *wish, {options.exhaustive, options.top});
  if (!answer.ok()) return shell.fail(answer.status());
  if (const auto* no = std::get_if<plan::Infeasible>(&*answer)) return show_refusal(shell, *model, *no);
  return show_plan(shell, *cluster, *model, std::get<plan::Plan>(*answer), options.tokens);
}

}  // namespace

void add_plan_commands(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand("plan", "The fastest layout of a model over a cluster, and why");
  command->add_option("FILE", o->file, "a job file, a transformer's description, or a known model")->required();
  command->add_option("--cluster", o->cluster, "a preset or a file")->capture_default_str();
  command
      ->add_option(
          "--devices", o->devices,
          "of the cluster; default: all, or the product of --fix; slots of this machine for other jobs than gpt's")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--top", o->top, "layouts to show")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--fix", o->fix, "KEY=VALUE,... that hold; with all three degrees, the one layout to evaluate");
  command->add_option("--software", o->software, "instead of the cluster's");
  command->add_option("--tokens", o->tokens, "to train on; default: 20 a parameter")->check(CLI::PositiveNumber);
  command->add_option("--price", o->price, "dollars a device-hour")->check(CLI::PositiveNumber);
  command->add_flag("--exhaustive", o->exhaustive, "evaluate every layout; the answer is the same");
  command->callback([&shell, o] { shell.command = [&shell, o] { return run_plan(shell, *o); }; });
}

}  // namespace ds::client

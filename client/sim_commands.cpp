// dsctl sim ... They ask no coordinator.
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands.h"
#include "client/planning/document.h"
#include "client/planning/inputs.h"
#include "client/planning/scaling.h"
#include "client/planning/validate.h"
#include "scheduler/plan/goodput.h"

namespace ds::client {
namespace {

// "90s", "10m", "7.9h", "14d"; a bare number is seconds.
absl::StatusOr<double> seconds_of(const std::string& text) {
  double unit = 1;
  std::string number = text;
  const std::string units = "smhd";
  const size_t at = text.empty() ? std::string::npos : units.find(text.back());
  if (at != std::string::npos) {
    constexpr double kSeconds[] = {1, 60, 3600, 86400};
    unit = kSeconds[at];
    number.pop_back();
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no time like 90s, 10m, 7.9h or 14d"));
  }
  return value * unit;
}

struct ScalingOptions {
  std::string model, cluster = "eos", mode = "weak", svg;
  int from = 64, to = 1024;
  int64_t batch = 0;
};

int run_scaling(const Shell& shell, const ScalingOptions& o) {
  auto model = read_model(o.model);
  if (!model.ok()) return shell.fail(model.status());
  auto cluster = read_cluster(o.cluster);
  if (!cluster.ok()) return shell.fail(cluster.status());
  ScalingInput input{*model, *cluster, o.from, o.to, o.mode == "weak"};
  if (o.batch > 0) input.model.batch = o.batch;
  auto scaling = scale(input);
  if (!scaling.ok()) return shell.fail(scaling.status());
  if (!o.svg.empty()) {
    std::ofstream file(o.svg);
    if (!(file << scaling_svg(*scaling))) return shell.fail(absl::InvalidArgumentError(o.svg + ": cannot be written"));
  }
  if (shell.format != Format::kTable) return shell.show({scaling_document(*scaling), {}});
  std::cout << model->name << " on " << cluster->name << ", " << scaling_text(*scaling) << std::flush;
  return kOk;
}

struct GoodputOptions {
  plan::GoodputInput input;
  std::string mttf, every = "10m", stall = "5s", detection = "1m", restart = "5m", straggler = "4h";
};

int run_goodput(const Shell& shell, GoodputOptions o) {
  const std::pair<const std::string*, double*> times[] = {
      {&o.mttf, &o.input.mean_time_to_failure}, {&o.every, &o.input.checkpoint_every},
      {&o.stall, &o.input.checkpoint_stall},    {&o.detection, &o.input.detection},
      {&o.restart, &o.input.restart},           {&o.straggler, &o.input.straggler_hours}};
  for (const auto& [text, out] : times) {
    auto seconds = seconds_of(*text);
    if (!seconds.ok()) return shell.fail(seconds.status());
    *out = *seconds;
  }
  o.input.straggler_hours /= 3600;
  if (absl::Status status = plan::check(o.input); !status.ok()) return shell.fail(status);
  const plan::Goodput g = plan::simulate_goodput(o.input);
  const Json document = {{"goodput", g.goodput},
                         {"failures", g.failures},
                         {"training_seconds", g.training_seconds},
                         {"lost_seconds", g.lost_seconds},
                         {"detection_seconds", g.detection_seconds},
                         {"restart_seconds", g.restart_seconds},
                         {"checkpoint_seconds", g.checkpoint_seconds},
                         {"straggler_seconds", g.straggler_seconds},
                         {"best_checkpoint_interval_seconds", g.best_interval},
                         {"seed", o.input.seed}};
  if (shell.format != Format::kTable) return shell.show({document, {}});
  std::cout << absl::StrFormat(
      "goodput %.2f %% over %g days and %d failures (simulated, seed %d)\n"
      "lost work %.2f h, detection %.2f h, restarts %.2f h, checkpoints %.2f h, stragglers %.2f h\n"
      "a checkpoint every %s would lose least\n",
      100 * g.goodput, o.input.days, g.failures, o.input.seed, g.lost_seconds / 3600, g.detection_seconds / 3600,
      g.restart_seconds / 3600, g.checkpoint_seconds / 3600, g.straggler_seconds / 3600,
      duration_text(g.best_interval));
  std::cout << std::flush;
  return kOk;
}

// Writes the table into a page of documentation.
absl::Status update_page(const std::string& path, const Json& rows) {
  auto page = read_text(path);
  if (!page.ok()) return page.status();
  auto text = renewed(*page, validation_markdown(rows));
  if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", text.status().message()));
  std::ofstream file(path);
  return file << *text ? absl::OkStatus() : absl::InvalidArgumentError(path + ": cannot be written");
}

int run_validate(const Shell& shell, const std::string& folder, const std::string& page) {
  std::vector<std::string> missing;
  const Json rows = validation_document(data_sets(folder, &missing));
  for (const std::string& file : missing) {
    std::cerr << "dsctl: " << folder << " has no " << file << ": its rows are left out (--data DIR)\n";
  }
  if (!page.empty()) {
    if (absl::Status status = update_page(page, rows); !status.ok()) return shell.fail(status);
  }
  const auto percent = [](const char* key) {
    return [key](const Json& row) {
      return row.contains(key) ? absl::StrFormat("%.1f %%", 100 * row[key].get<double>()) : std::string("-");
    };
  };
  return shell.show({rows,
                     {{"DATA SET", text_at("/data_set")},
                      {"N", text_at("/n")},
                      {"MEAN", percent("mean")},
                      {"MAX", percent("max")},
                      {"BIAS", percent("bias")},
                      {"RANK", number_at("/rank_correlation", 4)},
                      {"REGRET", percent("regret_mean")},
                      {"REFUSED", text_at("/refused")},
                      {"GOAL", text_at("/goal")}}});
}

void add_scaling(CLI::App* sim, Shell& shell) {
  auto o = std::make_shared<ScalingOptions>();
  CLI::App* command = sim->add_subcommand("scaling", "The best plan from few devices to many, and its efficiency");
  command->add_option("--model", o->model, "a known model or a file")->required();
  command->add_option("--cluster", o->cluster, "a preset or a file")->capture_default_str();
  command->add_option("--from", o->from, "devices")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  command->add_option("--to", o->to, "devices")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  command->add_option("--mode", o->mode, "weak or strong")
      ->check(CLI::IsMember({"weak", "strong"}))
      ->capture_default_str();
  command->add_option("--batch", o->batch, "sequences a step at the largest size; default: the model's")
      ->check(CLI::PositiveNumber);
  command->add_option("--svg", o->svg, "a file to draw to");
  command->callback([&shell, o] { shell.command = [&shell, o] { return run_scaling(shell, *o); }; });
}

void add_goodput(CLI::App* sim, Shell& shell) {
  auto o = std::make_shared<GoodputOptions>();
  plan::GoodputInput& in = o->input;
  CLI::App* command = sim->add_subcommand("goodput", "Weeks of training with failures, stragglers and checkpoints");
  command->add_option("--mttf", o->mttf, "mean time to failure of the whole job")->required();
  command->add_option("--ranks", in.ranks, "that a straggler may be among")->capture_default_str();
  command->add_option("--checkpoint-every", o->every, "training between checkpoints")->capture_default_str();
  command->add_option("--checkpoint-stall", o->stall, "that a checkpoint stops training")->capture_default_str();
  command->add_option("--detection", o->detection, "from a failure to its detection")->capture_default_str();
  command->add_option("--restart", o->restart, "from detection to training")->capture_default_str();
  command->add_option("--straggler-share", in.straggler_share, "of ranks that are slow at a time")
      ->capture_default_str();
  command->add_option("--straggler-slowdown", in.straggler_slowdown, "of their steps")->capture_default_str();
  command->add_option("--straggler-time", o->straggler, "until a slow rank is replaced")->capture_default_str();
  command->add_option("--days", in.days, "simulated")->capture_default_str();
  command->add_option("--seed", in.seed, "of failures and stragglers")->capture_default_str();
  command->callback([&shell, o] { shell.command = [&shell, o] { return run_goodput(shell, *o); }; });
}

void add_validate(CLI::App* sim, Shell& shell) {
  auto folder = std::make_shared<std::string>("../shared/data");
  CLI::App* command = sim->add_subcommand("validate", "The model of a step against published measurements");
  command->add_option("--data", *folder, "folder of vTrain's tables, which are not built in")->capture_default_str();
  auto page = std::make_shared<std::string>();
  command->add_option("--update", *page, "docs/validation.md: renews its table");
  command->callback([&shell, folder, page] {
    shell.command = [&shell, folder, page] { return run_validate(shell, *folder, *page); };
  });
}

}  // namespace

void add_sim_commands(CLI::App& app, Shell& shell) {
  CLI::App* sim = app.add_subcommand("sim", "Simulations: what a cluster would do")->require_subcommand(1);
  add_scaling(sim, shell);
  add_goodput(sim, shell);
  add_validate(sim, shell);
}

}  // namespace ds::client

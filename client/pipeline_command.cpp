// dsctl sim pipeline: plays a pipeline schedule. It asks no coordinator.
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands.h"
#include "scheduler/pipeline/draw.h"
#include "scheduler/pipeline/simulate.h"

namespace ds::client {
namespace {

struct PipelineOptions {
  std::string schedule, svg;
  pipeline::Request request;
  double f = 1, b = 1, w = 1, transfer = 0, held = 1;
  bool blocking = false;
};

struct Played {
  pipeline::Schedule schedule;
  pipeline::Result result;
};

absl::StatusOr<Played> play(PipelineOptions& o) {
  auto row = pipeline::find_generator(o.schedule);
  if (!row.ok()) return row.status();
  pipeline::Request& request = o.request;
  if (request.chunks == 0) request.chunks = (*row)->default_chunks;
  request.costs = pipeline::Costs::even(o.f, o.b, o.w, o.transfer, std::max(request.chunks, 1));
  request.costs.held_for_weights = o.held;
  request.costs.overlapped = !o.blocking;
  auto schedule = pipeline::make_schedule(o.schedule, request);
  if (!schedule.ok()) return schedule.status();
  if (absl::Status legal = pipeline::check(*schedule); !legal.ok()) return legal;
  auto result = pipeline::simulate(*schedule, request.costs, true);
  if (!result.ok()) return result.status();
  return Played{*std::move(schedule), *std::move(result)};
}

Json document(const PipelineOptions& o, const Played& played) {
  const pipeline::Result& result = played.result;
  Json stages = Json::array();
  double peak = 0;
  for (const pipeline::StageResult& stage : result.stages) {
    peak = std::max(peak, stage.peak_activation);
    stages.push_back({{"start", stage.first},
                      {"end", stage.last},
                      {"busy", stage.busy},
                      {"peak_activation", stage.peak_activation}});
  }
  return {{"schedule", played.schedule.name},
          {"stages", o.request.stages},
          {"micro_batches", o.request.micro_batches},
          {"chunks", played.schedule.chunks},
          {"bubble", result.bubble},
          {"cost", result.cost},
          {"makespan", result.makespan},
          {"lower_bound", pipeline::lower_bound(o.schedule, o.request)},
          {"peak_activation", peak},
          {"per_stage", stages},
          {"simulated", true}};
}

void print(const Json& seen, const Played& played) {
  std::cout << absl::StrFormat(
                   "%s, %d stages x %d micro-batches: bubble %.2f %%, cost %.6g, makespan %.6g (simulated)\n",
                   played.schedule.name, played.schedule.stages, played.schedule.micro_batches,
                   100 * played.result.bubble, played.result.cost, played.result.makespan)
            << "peak activations (1: a micro-batch in all of a stage):";
  for (const Json& stage : seen["per_stage"])
    std::cout << absl::StrFormat(" %.3g", stage["peak_activation"].get<double>());
  std::cout << "\n\n" << pipeline::draw_text(played.schedule, played.result);
  std::cout << "\nF forward, B input gradient, W weight gradient, X both in one, . idle"
            << (played.schedule.chunks > 1 ? "; small letters: later chunks\n" : "\n") << std::flush;
}

int run(const Shell& shell, PipelineOptions o) {
  auto played = play(o);
  if (!played.ok()) return shell.fail(played.status());
  if (!o.svg.empty()) {
    std::ofstream file(o.svg);
    if (!(file << pipeline::draw_svg(played->schedule, played->result))) {
      return shell.fail(absl::InvalidArgumentError(absl::StrCat("--svg ", o.svg, ": cannot be written")));
    }
  }
  const Json seen = document(o, *played);
  if (shell.format != Format::kTable) return shell.show({seen, {}});
  print(seen, *played);
  return kOk;
}

std::string known_schedules() {
  std::string names;
  for (const pipeline::Generator& row : pipeline::generators())
    absl::StrAppend(&names, names.empty() ? "" : ", ", row.name);
  return names;
}

}  // namespace

void add_pipeline_command(CLI::App& app, Shell& shell) {
  CLI::App* sim = nullptr;
  for (CLI::App* noun : app.get_subcommands([](const CLI::App* noun) { return noun->get_name() == "sim"; })) sim = noun;
  if (sim == nullptr) sim = app.add_subcommand("sim", "Simulations; they ask no coordinator")->require_subcommand(1);
  auto o = std::make_shared<PipelineOptions>();
  CLI::App* command = sim->add_subcommand("pipeline", "Play a pipeline schedule: its bubble, memory and timeline");
  command->add_option("--schedule", o->schedule, known_schedules())->required();
  command->add_option("--stages", o->request.stages, "pipeline devices")->required();
  command->add_option("--micro-batches", o->request.micro_batches, "of a step")->required();
  command->add_option("--f", o->f, "time of a stage's forward; any unit")->capture_default_str();
  command->add_option("--b", o->b, "of its input gradient")->capture_default_str();
  command->add_option("--w", o->w, "of its weight gradient")->capture_default_str();
  command->add_option("--comm", o->transfer, "of a transfer between stages")->capture_default_str();
  command->add_option("--chunks", o->request.chunks, "model pieces a stage; default: the schedule's own");
  command->add_option("--memory-limit", o->request.memory_limit,
                      "micro-batches' activations a stage may hold, for zb-1p, zb-2p and zb-v");
  command->add_option("--held", o->held, "share of an activation kept from B to W, 0 to 1")->capture_default_str();
  command->add_flag("--blocking", o->blocking, "a stage waits while it sends");
  command->add_option("--svg", o->svg, "a file to draw to");
  command->callback([&shell, o] { shell.command = [&shell, o] { return run(shell, *o); }; });
}

}  // namespace ds::client

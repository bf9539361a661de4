#include "client/planning/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ds::client {
namespace {

Json memory_document(const plan::Memory& m) {
  return {{"weights", m.weights},         {"gradients", m.gradients}, {"optimizer", m.optimizer},
          {"activations", m.activations}, {"other", m.other},         {"total", m.total()}};
}

std::string stage_lines(const Json& stages) {
  std::string text = "STAGE  WEIGHTS  GRADIENTS  OPTIMIZER  ACTIVATIONS  OTHER  TOTAL (GB)\n";
  const size_t last = stages.size() - 1;
  for (size_t i = 0; i <= last; ++i) {
    if (stages.size() > 6 && i > 1 && i < last) {  // the middle is alike
      if (i == 2) text += "  ...\n";
      continue;
    }
    const Json& m = stages[i]["memory"];
    const auto gb = [&](const char* key) { return m[key].get<double>() / 1e9; };
    text += absl::StrFormat("%5d  %7.1f  %9.1f  %9.1f  %11.1f  %5.1f  %5.1f\n", i, gb("weights"), gb("gradients"),
                            gb("optimizer"), gb("activations"), gb("other"), gb("total"));
  }
  return text;
}

}  // namespace

Json layout_document(const plan::Transformer& m, const plan::Layout& l) {
  Json document = {{"tensor_parallel", l.tensor},
                   {"pipeline_parallel", l.pipeline},
                   {"data_parallel", l.data},
                   {"context_parallel", l.context},
                   {"zero", l.zero},
                   {"schedule", plan::name_of(l.schedule)},
                   {"interleave", l.interleave},
                   {"micro_batch", l.micro_batch},
                   {"micro_batches", plan::micro_batches(m, l)},
                   {"recompute", plan::name_of(l.recompute)},
                   {"sequence_parallel", l.sequence_parallel},
                   {"devices", l.devices()}};
  if (!l.stage_layers.empty()) document["stage_layers"] = l.stage_layers;
  return document;
}

std::string layout_text(const plan::Layout& l) {
  std::string text = absl::StrFormat("TP %d x PP %d x DP %d", l.tensor, l.pipeline, l.data);
  if (l.context > 1) absl::StrAppend(&text, " x CP ", l.context);
  absl::StrAppend(&text, ", ZeRO ", l.zero, ", ", plan::name_of(l.schedule));
  if (l.interleave > 1) absl::StrAppend(&text, " of ", l.interleave, " chunks");
  if (!l.stage_layers.empty()) text += " with uneven stages";
  absl::StrAppend(&text, ", micro-batch ", l.micro_batch, ", recompute ", plan::name_of(l.recompute));
  if (l.sequence_parallel) text += ", sequence parallel";
  return text;
}

Json plan_document(const plan::Cluster& cluster, const plan::Transformer& m, const plan::Plan& plan, double budget) {
  const plan::Step& step = plan.best.step;
  const plan::Parts& p = step.parts;
  Json document = {{"model", m.name},
                   {"parameters", m.parameters()},
                   {"cluster", cluster.name},
                   {"software", cluster.software.name},
                   {"devices", plan.best.layout.devices()},
                   {"layout", layout_document(m, plan.best.layout)},
                   {"step_seconds", step.seconds},
                   {"parts",
                    {{"compute", p.compute},
                     {"bubble", p.bubble},
                     {"tensor_comm", p.tensor_comm},
                     {"pipeline_comm", p.pipeline_comm},
                     {"data_comm", p.data_comm},
                     {"optimizer", p.optimizer}}},
                   {"model_tflops_per_device", step.model_flops_per_device / 1e12},
                   {"hardware_tflops_per_device", step.hardware_flops_per_device / 1e12},
                   {"mfu", step.mfu},
                   {"hfu", step.hfu},
                   {"tokens_per_second", step.tokens_per_second}};
  const double seconds = budget / step.tokens_per_second;
  document["budget"] = {
      {"tokens", budget}, {"days", seconds / 86400}, {"device_hours", seconds / 3600 * plan.best.layout.devices()}};
  if (cluster.dollars_per_device_hour > 0) {
    document["budget"]["dollars"] = seconds / 3600 * plan.best.layout.devices() * cluster.dollars_per_device_hour;
  }
  document["stages"] = Json::array();
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    document["stages"].push_back({{"stage", i},
                                  {"layers", plan::layers_of(m, plan.best.layout, static_cast<int>(i))},
                                  {"memory", memory_document(plan.stages[i])}});
  }
  document["alternatives"] = Json::array();
  for (const plan::Candidate& c : plan.alternatives) {
    document["alternatives"].push_back(
        {{"layout", layout_document(m, c.layout)}, {"step_seconds", c.step.seconds}, {"why", c.why}});
  }
  document["warnings"] = plan.warnings;
  document["candidates"] = plan.candidates;
  return document;
}

Json refusal_document(const plan::Transformer& m, const plan::Infeasible& no) {
  Json body = {{"reason", no.reason},
               {"stage", no.stage},
               {"needed_bytes", no.needed_bytes},
               {"available_bytes", no.available_bytes},
               {"nearest", nullptr}};
  if (no.nearest) body["nearest"] = layout_document(m, *no.nearest);
  return {{"infeasible", body}};
}

std::string plan_text(const Json& d, const plan::Plan& plan) {
  const plan::Step& step = plan.best.step;
  const plan::Parts& p = step.parts;
  std::string text =
      absl::StrFormat("%s (%.4g B parameters) on %d devices of %s\n\n", d["model"].get<std::string>(),
                      d["parameters"].get<double>() / 1e9, d["devices"].get<int>(), d["cluster"].get<std::string>());
  absl::StrAppend(&text, "layout   ", layout_text(plan.best.layout), "\n");
  absl::StrAppend(
      &text,
      absl::StrFormat("step     %.4g s: compute %.3g, bubble %.3g, exposed communication %.3g tensor + %.3g "
                      "pipeline + %.3g data, optimizer %.3g\n",
                      step.seconds, p.compute, p.bubble, p.tensor_comm, p.pipeline_comm, p.data_comm, p.optimizer));
  absl::StrAppend(&text, absl::StrFormat("speed    %.4g tokens/s, %.1f TFLOP/s a device, MFU %.1f %%, HFU %.1f %%\n",
                                         step.tokens_per_second, step.model_flops_per_device / 1e12, 100 * step.mfu,
                                         100 * step.hfu));
  const Json& budget = d["budget"];
  absl::StrAppend(
      &text, absl::StrFormat("budget   %.3g tokens take %.3g days, %.3g device-hours", budget["tokens"].get<double>(),
                             budget["days"].get<double>(), budget["device_hours"].get<double>()));
  if (budget.contains("dollars"))
    absl::StrAppend(&text, absl::StrFormat(", %.3g dollars", budget["dollars"].get<double>()));
  absl::StrAppend(&text, "\n\n", stage_lines(d["stages"]));
  if (!plan.alternatives.empty()) text += "\nrunners-up\n";
  for (const plan::Candidate& c : plan.alternatives) {
    absl::StrAppend(&text, absl::StrFormat("  %.4g s  ", c.step.seconds), layout_text(c.layout), "\n           ", c.why,
                    "\n");
  }
  for (const std::string& warning : plan.warnings) absl::StrAppend(&text, "\nwarning: ", warning, "\n");
  return text;
}

}  // namespace ds::client

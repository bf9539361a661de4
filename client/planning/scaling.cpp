#include "client/planning/scaling.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/planning/report.h"
#include "client/planning/validate.h"

namespace ds::client {
namespace {

absl::StatusOr<ScalingPoint> plan_at(const ScalingInput& in, const plan::Transformer& model, int devices) {
  auto cluster = plan::with_devices(in.cluster, devices, true);
  if (!cluster.ok()) return cluster.status();
  auto answer = plan::search(*cluster, model, {}, {false, 1});
  if (!answer.ok()) return answer.status();
  ScalingPoint point;
  point.devices = devices;
  point.model = model;
  if (const auto* plan = std::get_if<plan::Plan>(&*answer)) point.best = plan->best;
  if (const auto* no = std::get_if<plan::Infeasible>(&*answer)) point.reason = no->reason;
  return point;
}

// `whole` shares of the devices of the largest size, at least 1.
int64_t share(int64_t whole, int devices, int most) { return std::max<int64_t>(1, whole * devices / most); }

}  // namespace

absl::StatusOr<Scaling> scale(const ScalingInput& in) {
  if (in.from < 1 || in.to < in.from) {
    return absl::InvalidArgumentError(absl::StrFormat("[scaling] from %d to %d devices", in.from, in.to));
  }
  Scaling scaling;
  bool layers = false;
  if (in.weak) {
    plan::Transformer small = in.model;
    small.batch = share(in.model.batch, in.from, in.to);
    auto first = plan_at(in, small, in.from);
    layers = !first.ok() || !first->best;
  }
  scaling.rule = !in.weak ? "strong: the same model and batch on every size"
                 : layers ? "weak: layers grow with devices, for the whole model does not fit the smallest size"
                          : "weak: the batch grows with devices";
  double base = 0;
  for (int devices = in.from; devices <= in.to; devices *= 2) {
    plan::Transformer model = in.model;
    if (in.weak)
      (layers ? model.layers : model.batch) = share(layers ? in.model.layers : in.model.batch, devices, in.to);
    auto point = plan_at(in, model, devices);
    if (!point.ok()) return point.status();
    if (point->best) {
      const double flops = point->best->step.model_flops_per_device;
      if (base == 0) base = flops;
      point->efficiency = flops / base;
    }
    scaling.points.push_back(*std::move(point));
  }
  return scaling;
}

Json scaling_document(const Scaling& scaling) {
  Json points = Json::array();
  for (const ScalingPoint& p : scaling.points) {
    Json row = {{"devices", p.devices}, {"layers", p.model.layers}, {"batch", p.model.batch}};
    if (p.best) {
      row["layout"] = layout_document(p.model, p.best->layout);
      row["step_seconds"] = p.best->step.seconds;
      row["model_tflops_per_device"] = p.best->step.model_flops_per_device / 1e12;
      row["mfu"] = p.best->step.mfu;
      row["efficiency"] = p.efficiency;
    } else {
      row["infeasible"] = p.reason;
    }
    points.push_back(row);
  }
  return {{"rule", scaling.rule}, {"error_bar", simulated()}, {"points", points}};
}

std::string scaling_text(const Scaling& scaling) {
  std::string text = scaling.rule + "\n\nDEVICES  LAYERS  BATCH  STEP      TFLOP/s  MFU     EFFICIENCY  LAYOUT\n";
  for (const ScalingPoint& p : scaling.points) {
    absl::StrAppend(&text, absl::StrFormat("%7d  %6d  %5d  ", p.devices, p.model.layers, p.model.batch));
    if (!p.best) {
      absl::StrAppend(&text, "does not fit: ", p.reason, "\n");
      continue;
    }
    absl::StrAppend(
        &text, absl::StrFormat("%-8s  %7.1f  %5.1f %%  %8.1f %%  %s\n", absl::StrFormat("%.4g s", p.best->step.seconds),
                               p.best->step.model_flops_per_device / 1e12, 100 * p.best->step.mfu, 100 * p.efficiency,
                               layout_text(p.best->layout)));
  }
  return text + "\n" + simulated() + "\n";
}

std::string scaling_svg(const Scaling& scaling) {
  constexpr double kWide = 560, kHigh = 320, kLeft = 60, kTop = 30;
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"680\" height=\"420\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n"
      "<rect width=\"680\" height=\"420\" fill=\"white\"/>\n";
  const double n = std::max<double>(1, static_cast<double>(scaling.points.size()) - 1);
  for (int percent = 0; percent <= 100; percent += 20) {
    const double y = kTop + kHigh * (1 - percent / 110.0);
    absl::StrAppend(&svg, absl::StrFormat("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                                          "<text x=\"20\" y=\"%.1f\">%d %%</text>\n",
                                          kLeft, kLeft + kWide, y, y, y + 4, percent));
  }
  std::string line;
  for (size_t i = 0; i < scaling.points.size(); ++i) {
    const ScalingPoint& p = scaling.points[i];
    const double x = kLeft + kWide * static_cast<double>(i) / n, y = kTop + kHigh * (1 - p.efficiency / 1.1);
    absl::StrAppend(&svg,
                    absl::StrFormat("<text x=\"%.1f\" y=\"372\" text-anchor=\"middle\">%d</text>\n", x, p.devices));
    if (!p.best) continue;
    absl::StrAppend(&line, absl::StrFormat("%.1f,%.1f ", x, y));
    absl::StrAppend(&svg, absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#0a6\"/>", x, y),
                    absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.1f</text>\n", x, y - 9,
                                    100 * p.efficiency));
  }
  absl::StrAppend(&svg, "<polyline fill=\"none\" stroke=\"#0a6\" stroke-width=\"2\" points=\"", line, "\"/>\n",
                  "<text x=\"60\" y=\"18\">efficiency, ", scaling.rule, "</text>\n<text x=\"60\" y=\"404\">devices; ",
                  simulated(), "</text>\n</svg>\n");
  return svg;
}

}  // namespace ds::client

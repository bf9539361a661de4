// How a model's best plan scales with devices, as text, document and picture.
#pragma once
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/view.h"
#include "scheduler/plan/plan.h"

namespace ds::client {

struct ScalingInput {
  plan::Transformer model;  // at the largest size; weak scaling shrinks it
  plan::Cluster cluster;
  int from = 64, to = 1024;
  bool weak = true;
};

struct ScalingPoint {
  int devices = 0;
  plan::Transformer model;
  std::optional<plan::Candidate> best;  // none: nothing fits
  std::string reason;                   // then
  double efficiency = 0;                // FLOP/s a device over the first size's that fits
};

struct Scaling {
  std::string rule;  // what grows with the devices
  std::vector<ScalingPoint> points;
};

// Doubles the devices from `from` to `to`. Strong: model and batch stay. Weak: the batch grows with the devices; where
// the model does not fit the smallest size, its layers grow instead, as in arXiv 2104.04473 table 1.
absl::StatusOr<Scaling> scale(const ScalingInput& input);

Json scaling_document(const Scaling& scaling);
std::string scaling_text(const Scaling& scaling);
std::string scaling_svg(const Scaling& scaling);

}  // namespace ds::client

#include "scheduler/pipeline/costs.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

namespace ds::pipeline {
namespace {

absl::Status refuse(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("[pipeline costs] ", what));
}

bool fine(double value) { return value >= 0 && std::isfinite(value); }

}  // namespace

absl::Status Costs::check(int stages, int chunks) const {
  size_t pieces = static_cast<size_t>(stages) * chunks;
  if (times.size() != 1 && times.size() != pieces) {
    return refuse(absl::StrCat("times must be 1 or one a stage and chunk (", pieces, "): got ", times.size()));
  }
  for (const ChunkTimes& t : times) {
    for (double value : {t.forward, t.input_gradient, t.weight_gradient}) {
      if (!fine(value)) return refuse(absl::StrCat("times must be 0 or more: got ", value));
    }
  }
  if (transfer.size() > 1 && transfer.size() != static_cast<size_t>(stages)) {
    return refuse(absl::StrCat("transfer must be none, 1 or one an edge (", stages, "): got ", transfer.size()));
  }
  for (double value : transfer) {
    if (!fine(value)) return refuse(absl::StrCat("transfer must be 0 or more: got ", value));
  }
  if (activation.size() > 1 && activation.size() != pieces) {
    return refuse(
        absl::StrCat("activation must be none, 1 or one a stage and chunk (", pieces, "): got ", activation.size()));
  }
  for (double value : activation) {
    if (!fine(value)) return refuse(absl::StrCat("activation must be 0 or more: got ", value));
  }
  if (!(held_for_weights >= 0 && held_for_weights <= 1)) {
    return refuse(absl::StrCat("held_for_weights must lie in [0, 1]: got ", held_for_weights));
  }
  return absl::OkStatus();
}

Costs Costs::even(double f, double b, double w, double transfer, int chunks) {
  Costs costs;
  costs.times = {{f / chunks, b / chunks, w / chunks}};
  costs.transfer = {transfer};
  return costs;
}

}  // namespace ds::pipeline

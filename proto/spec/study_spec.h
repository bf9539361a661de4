// The study file: a job file with `search`, `objective`, `budget`, `constraints` and `seed` beside the job's keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ds/v1/tune.pb.h"

namespace ds::spec {

// As parse_job(): defaults filled, validated, every problem of the file in one InvalidArgument.
absl::StatusOr<v1::StudySpec> parse_study(std::string_view yaml_or_json, std::string_view name = {});

// Gives every field that is not set its default, but for those of the job that hang on a key of the search: every trial
// has its own.
void fill_defaults(v1::StudySpec& study);

// Checks a study with its defaults filled, as the coordinator takes it.
absl::Status validate(const v1::StudySpec& study);

// The job of a trial: the template with these values in place of its own, budget.max_epochs as its epochs, and a name.
// Error: InvalidArgument, as validate(JobSpec) says it.
absl::StatusOr<v1::JobSpec> trial_job(const v1::StudySpec& study, int64_t trial,
                                      const std::map<std::string, std::string>& params);

// Whether the objective is known before any trial: params, flops.
bool is_known(const v1::ObjectiveSpec& objective);

// What a built-in model costs, exactly; nothing for graphs and scripts, and for images in data.path, whose size is not
// known here. FLOPs are those of matrix products and convolutions, 2 a multiply-add, as `dsctl plan` counts them.
struct ModelSize {
  double params = 0;
  double flops = 0;  // forward, a sample
};
std::optional<ModelSize> model_size(const v1::JobSpec& job);

std::string to_json(const v1::StudySpec& study, int indent = 2);
// The value of a searched key, of the type that the job file gives it: what a trial's params have as text.
std::string value_json(const v1::StudySpec& study, std::string_view key, const std::string& text);

}  // namespace ds::spec

// A study's template and the jobs that are made of it.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_rules.h"
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kLongestName = 63;
constexpr Field kParameter{.path = kParams, .doc = "", .only = {"model.script", "", Condition::kGiven}};

bool searched(const v1::StudySpec& study, const Condition& condition) {
  return !condition.path.empty() && find_search(study, condition.path) != nullptr;
}

void clear(v1::JobSpec* job, absl::string_view path) {
  if (!is_set(look(*job, path))) return;
  const FieldDescriptor* descriptor = nullptr;
  Message* owner = owner_of(*job, path, &descriptor);
  owner->GetReflection()->ClearField(owner, descriptor);
}

// A parameter of a script that is not active is not passed: what the script does without it is its own default.
void clear_inactive(const v1::StudySpec& study, const Values& values, v1::ModelSpec* model) {
  auto* params = model->mutable_params();
  const auto inactive = [&](const v1::ScriptParam& param) {
    const std::string key = absl::StrCat(kParams, ".", param.name());
    const v1::SearchSpec* search = find_search(study, key);
    return search != nullptr && !search->parent().empty() && values.count(key) == 0;
  };
  params->erase(std::remove_if(params->begin(), params->end(), inactive), params->end());
}

std::string trial_name(const v1::StudySpec& study, int64_t trial) {
  const std::string number = absl::StrCat("-", trial);
  return absl::StrCat(study.name().substr(0, kLongestName - number.size()), number);
}

}  // namespace

bool is_script(const v1::StudySpec& study) { return !study.job().model().script().empty(); }

const Field* searchable(const v1::JobSpec& job, absl::string_view key) {
  const Field* field = find_field(key);
  const bool parameter = field == nullptr && absl::StartsWith(key, kParams) && look(job, key).descriptor != nullptr;
  return parameter ? &kParameter : field;
}

v1::JobSpec scratch_of(const v1::JobSpec& job) {
  v1::JobSpec scratch;
  *scratch.mutable_model()->mutable_params() = job.model().params();
  return scratch;
}

std::string set_value(v1::JobSpec* job, absl::string_view key, absl::string_view text) {
  const FieldDescriptor* descriptor = nullptr;
  Message* owner = owner_of(*job, key, &descriptor);
  if (descriptor == nullptr) return absl::StrCat("a parameter that ", kParams, " has");
  if (!descriptor->is_repeated()) return set_from_text(owner, descriptor, text, true);
  owner->GetReflection()->ClearField(owner, descriptor);
  absl::string_view inside = text;
  if (absl::ConsumePrefix(&inside, "[") && !absl::ConsumeSuffix(&inside, "]")) return "a list in [ and ]";
  for (absl::string_view part : absl::StrSplit(inside, ',')) {
    std::string expected = set_from_text(owner, descriptor, absl::StripAsciiWhitespace(part), true);
    if (!expected.empty()) return absl::StrCat("a list, each ", expected);
  }
  return "";
}

std::string value_text(const v1::JobSpec& job, absl::string_view key) {
  const Slot slot = look(job, key);
  if (slot.owner == nullptr) return "";  // not is_set(): false and 0 are values, though some fields do not keep them
  const auto* reflection = slot.owner->GetReflection();
  if (!slot.descriptor->is_repeated()) {
    const bool text = slot.descriptor->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    return text ? reflection->GetString(*slot.owner, slot.descriptor) : show(slot);
  }
  std::vector<std::string> parts;
  for (int i = 0; i < reflection->FieldSize(*slot.owner, slot.descriptor); ++i) parts.push_back(show(slot, i));
  return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
}

void fill_defaults(v1::StudySpec& study) {
  v1::TuneBudgetSpec& budget = *study.mutable_budget();
  v1::JobSpec& job = *study.mutable_job();
  const bool script = is_script(study);  // its parameters say how long it trains
  if (budget.has_max_epochs() && !script) job.mutable_train()->set_epochs(budget.max_epochs());
  fill_defaults(
      job, [&](const Field& field) { return !searched(study, field.only) && !searched(study, field.fallback_only); });
  if (study.name().empty()) study.set_name(job.name());
  if (!budget.has_trials()) budget.set_trials(40);
  if (!budget.has_parallel()) budget.set_parallel(2);
  if (!budget.has_max_epochs() && !script) budget.set_max_epochs(std::max<int64_t>(1, job.train().epochs()));
  if (!study.has_early_stopping()) study.set_early_stopping(measured_objectives(study) < 2);
  if (!study.has_retrain()) study.set_retrain(true);
}

v1::JobSpec job_with(const v1::StudySpec& study, const Values& values) {
  v1::JobSpec job = study.job();
  for (const auto& [key, text] : values) set_value(&job, key, text);
  for (const Field& field : fields()) {
    if (values.count(std::string(field.path)) > 0) continue;
    if (searched(study, field.only) && !holds(job, field.only)) clear(&job, field.path);
  }
  clear_inactive(study, values, job.mutable_model());
  fill_defaults(job);
  return job;
}

absl::StatusOr<v1::JobSpec> trial_job(const v1::StudySpec& study, int64_t trial, const Values& params) {
  v1::JobSpec scratch = scratch_of(study.job());
  for (const auto& [key, text] : params) {
    if (find_search(study, key) == nullptr)
      return absl::InvalidArgumentError(absl::StrCat(key, ": study ", study.name(), " does not search it"));
    if (const std::string expected = set_value(&scratch, key, text); !expected.empty())
      return absl::InvalidArgumentError(absl::StrCat(key, ": expected ", expected, ", got ", quoted(text)));
  }
  v1::JobSpec job = job_with(study, params);
  job.set_name(trial_name(study, trial));
  if (!is_script(study)) job.mutable_train()->set_epochs(study.budget().max_epochs());
  if (absl::Status status = validate(job); !status.ok()) return status;
  return job;
}

}  // namespace ds::spec

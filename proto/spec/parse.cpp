// A job file to JobSpec.
#include <algorithm>

#include "proto/spec/job_spec.h"
#include "proto/spec/reader.h"

namespace ds::spec {
namespace {

std::vector<Problem> problems_of(const YAML::Node& root, std::string_view name, v1::JobSpec* spec) {
  static const auto* const known = new std::vector<std::string>(paths_of(v1::JobSpec::descriptor()));
  Reader reader(*known);
  reader.read_map(root, spec, "");
  if (!name.empty()) spec->set_name(std::string(name));
  fill_defaults(*spec);
  return reader.with_rules(check(*spec));
}

}  // namespace

absl::StatusOr<v1::JobSpec> parse_job(std::string_view text, std::string_view name) {
  v1::JobSpec spec;
  const auto read = [&](const YAML::Node& root) { return problems_of(root, name, &spec); };
  if (absl::Status status = read_document(text, "job file", read); !status.ok()) return status;
  return spec;
}

absl::Status validate(const v1::JobSpec& spec) {
  std::vector<Problem> problems = check(spec);
  const auto known = [&](const Problem& p) {
    return std::any_of(problems.begin(), problems.end(), [&](const Problem& other) { return other.path == p.path; });
  };
  for (Problem& p : check_artifacts(spec, false)) {
    if (!known(p)) problems.push_back(std::move(p));
  }
  return as_status(std::move(problems));
}

}  // namespace ds::spec

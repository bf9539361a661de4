// The job file: YAML (or JSON, which is YAML) to v1::JobSpec and back, and the rules a spec must obey.
// Everything comes from one table of fields (fields.h): keys, types, ranges, defaults, error texts, docs/job-file.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ds/v1/job.pb.h"

namespace ds::spec {

// Reads a job file, fills the defaults and validates. `name`, if given, stands in for the file's `name`.
// Error: InvalidArgument; one line a problem, all of them, in the order of the file, each with line number, path, value
// and the nearest thing that is allowed: `line 4: train.batch_sise: unknown key; did you mean train.batch_size?`
absl::StatusOr<v1::JobSpec> parse_job(std::string_view yaml_or_json, std::string_view name = {});

// Gives every field that is not set its default. A field for which 0 means something keeps an explicit 0.
void fill_defaults(v1::JobSpec& spec);

// Checks a spec (with its defaults filled) as the coordinator takes it: artifacts are named by their digests, not by
// local paths. Error: InvalidArgument, one line a problem, as above without line numbers.
absl::Status validate(const v1::JobSpec& spec);

// The fields that name artifacts, with what stands in them: model.graph, model.script, and a data.path that begins with
// "sha256:". Out of a job file the first two may still be local paths.
struct ArtifactName {
  std::string path;  // of the field: "model.graph"
  std::string name;
};
std::vector<ArtifactName> artifacts(const v1::JobSpec& spec);

// The spec as a JSON document that parse_job() reads back to an equal spec. `indent` < 0: one line.
std::string to_json(const v1::JobSpec& spec, int indent = 2);

// The table of fields: as the page docs/job-file.md, and as a list of {key, type, allowed, default, only_where,
// meaning}.
std::string schema_markdown();
std::string schema_json();

}  // namespace ds::spec

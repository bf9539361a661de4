#include "coordinator/rpc/needs.h"

#include "absl/strings/str_cat.h"
#include "coordinator/rpc/errors.h"
#include "proto/spec/job_spec.h"

namespace ds::coordinator {

Missing missing_artifacts(Daemon& daemon, const v1::JobSpec& spec, const std::string& path) {
  Missing missing;
  for (const spec::ArtifactName& artifact : spec::artifacts(spec)) {
    const absl::Status found = daemon.artifacts().use(artifact.name).status();
    if (found.ok()) continue;
    missing.details.push_back(
        detail(absl::StrCat(path, ".", artifact.path), artifact.name, "an artifact that was put before: see Put"));
    if (!missing.status.ok()) continue;
    missing.status = absl::FailedPreconditionError(
        absl::IsNotFound(found) ? absl::StrCat("[Submit] ", artifact.path, ": ", artifact.name,
                                               " is not among this coordinator's artifacts; upload it first")
                                : absl::StrCat("[Submit] ", artifact.path, ": ", found.message()));
  }
  return missing;
}

}  // namespace ds::coordinator

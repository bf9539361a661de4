#include "coordinator/rpc/submit.h"

#include <memory>

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

grpc::ServerUnaryReactor* submit(Daemon& daemon, grpc::ServerUnaryReactor* reactor, Submission submission,
                                 std::string* id) {
  if (!submission.valid.ok()) {
    reactor->Finish(to_grpc(submission.valid, spec_details(submission.valid)));
    return reactor;
  }
  auto event = std::move(submission.event);
  auto what = std::make_shared<Submission>(std::move(submission));
  daemon.mind().post(
      std::move(event),
      [reactor, what](const absl::Status& status, const State&) {
        const Missing& missing = what->missing;
        reactor->Finish(missing.status.ok() ? to_grpc(status) : to_grpc(missing.status, missing.details));
      },
      [id, what](const State& state) {
        const auto known = (state.*what->known).find(what->key);
        const bool again = !what->key.empty() && known != (state.*what->known).end();
        *id = again ? known->second : what->next_id(state, what->name);
        if (again) what->missing.status = absl::OkStatus();  // what it needed then may have gone since
        return !again && what->missing.status.ok();
      });
  return reactor;
}

}  // namespace ds::coordinator

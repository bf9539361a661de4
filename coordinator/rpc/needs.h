// What a spec names that must be here before it is taken. The state machine reads no files, so this is asked before the
// event.
#pragma once
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/daemon.h"
#include "ds/v1/error.pb.h"

namespace ds::coordinator {

struct Missing {
  absl::Status status;  // of the first one
  std::vector<v1::ErrorDetail> details;
};
// Those that are here count as used. `path` is where the spec stands in the request: "spec".
Missing missing_artifacts(Daemon& daemon, const v1::JobSpec& spec, const std::string& path);

}  // namespace ds::coordinator

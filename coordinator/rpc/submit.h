// Submit, of jobs and of studies.
#pragma once
#include <grpcpp/grpcpp.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/daemon.h"
#include "ds/v1/error.pb.h"

namespace ds::coordinator {

// What a spec names that must be here before it is taken. The state machine reads no files, so this is asked before the
// event.
struct Missing {
  absl::Status status;  // of the first one
  std::vector<v1::ErrorDetail> details;
};
// Those that are here count as used. `path` is where the spec stands in the request: "spec".
Missing missing_artifacts(Daemon& daemon, const v1::JobSpec& spec, const std::string& path);

struct Submission {
  v1::Event event = {};     // its spec has its defaults
  std::string name = {};    // of the spec
  std::string key = {};     // the client's; empty: none
  absl::Status valid = {};  // whether the spec may be taken
  Missing missing = {};
  std::map<std::string, std::string> State::*known = nullptr;  // ids by key
  std::string (*next_id)(const State& state, const std::string& name) = nullptr;
};

// Puts the event into the log, unless its key is known, and answers with the id; or with what is wrong.
grpc::ServerUnaryReactor* submit(Daemon& daemon, grpc::ServerUnaryReactor* reactor, Submission submission,
                                 std::string* id);

}  // namespace ds::coordinator

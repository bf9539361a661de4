// Artifacts from the user's side: local files that a job names are uploaded, and their digests put in their place.
#pragma once

#include <string>

#include "client/client.h"

namespace ds::client {

// Uploads the local files that a spec names in model.graph and model.script, and in data.path where the dataset is
// tensors or a script reads it, and puts their digests in their place. Relative paths are of `folder` ("": the working
// directory); every other data.path is made absolute. A data.path that is absolute and not on this machine stays: the
// workers may have it. InvalidArgument names the field and the file that cannot be read.
absl::Status resolve_artifacts(Client& client, v1::JobSpec& spec, const std::string& folder,
                               const OnTransfer& on_transfer = {});

}  // namespace ds::client

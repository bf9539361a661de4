// What ds-executor answers beside running a rank: the profile of a job's model, and what this machine's slots reach.
#pragma once
#include <string>
#include <vector>

#include "ds/v1/worker.pb.h"

namespace ds::worker {

// The job's model, traced. An error of the user's is in the result.
v1::ProfileResult profile_model(const v1::StartRank& start);

// Rates of the slot that has the first share of cores: alone, and with all shares at the same work; and what an
// all_reduce between them costs. One process a share, over the transport that ranks use. Throws where one of them
// fails. Only one such measurement runs on a machine at a time.
v1::Constants measure(const std::vector<std::string>& shares);

}  // namespace ds::worker

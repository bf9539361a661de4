// Where the coordinator is, and where the local cluster is written down.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace ds::client {

constexpr char kDefaultAddress[] = "127.0.0.1:7070";

// ${DS_STATE_DIR}, else ${XDG_STATE_HOME}/deepseek, else ~/.local/state/deepseek.
std::string state_dir();

// The record of the cluster that `dsctl cluster up` started.
std::string cluster_file();

// HOST:PORT of the coordinator: `given`, else ${DS_COORDINATOR}, else that of cluster_file(), else kDefaultAddress.
std::string coordinator_address(const std::string& given = "");

// InvalidArgument where it is not HOST:PORT, with a port from 1 to 65535.
absl::Status check_address(const std::string& address);

}  // namespace ds::client

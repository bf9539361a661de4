// Where the coordinator is, and where the local cluster is written down.
#pragma once

#include <string>

namespace ds::client {

constexpr char kDefaultAddress[] = "127.0.0.1:7070";

// ${DS_STATE_DIR}, else ${XDG_STATE_HOME}/deepseek, else ~/.local/state/deepseek.
std::string state_dir();

// The record of the cluster that `dsctl cluster up` started.
std::string cluster_file();

// HOST:PORT of the coordinator: `given`, else ${DS_COORDINATOR}, else that of cluster_file(), else kDefaultAddress.
std::string coordinator_address(const std::string& given = "");

}  // namespace ds::client

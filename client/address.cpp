#include "client/address.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ds::client {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string home() {
  if (const std::string home = environment("HOME"); !home.empty()) return home;
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? "/tmp" : user->pw_dir;
}

}  // namespace

std::string state_dir() {
  if (const std::string dir = environment("DS_STATE_DIR"); !dir.empty()) return dir;
  if (const std::string dir = environment("XDG_STATE_HOME"); !dir.empty()) return dir + "/deepseek";
  return home() + "/.local/state/deepseek";
}

std::string cluster_file() { return state_dir() + "/cluster.json"; }

std::string coordinator_address(const std::string& given) {
  if (!given.empty()) return given;
  if (const std::string address = environment("DS_COORDINATOR"); !address.empty()) return address;
  std::ifstream in(cluster_file());
  const auto record = nlohmann::json::parse(in, nullptr, false);
  if (record.is_object() && record.contains("address") && record["address"].is_string()) return record["address"];
  return kDefaultAddress;
}

absl::Status check_address(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  const bool good = colon != address.npos && colon > 0 && absl::SimpleAtoi(address.substr(colon + 1), &port) &&
                    port >= 1 && port <= 65535 && address.find_first_of(" /") == address.npos;
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", address,
                                                 "\" is no address of a coordinator: HOST:PORT, such as ",
                                                 kDefaultAddress, ", is expected in --coordinator or DS_COORDINATOR"));
}

}  // namespace ds::client

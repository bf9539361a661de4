// The HTTP port: /metrics for Prometheus, and a status page with the JSON endpoints it draws from.
#pragma once
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/daemon.h"

struct mg_context;

namespace ds::coordinator {

class Http {
 public:
  // Serves on HOST:PORT; port 0 picks a free one.
  static absl::StatusOr<std::unique_ptr<Http>> serve(Daemon& daemon, const std::string& address);
  ~Http();
  const std::string& address() const { return address_; }

 private:
  Http() = default;
  mg_context* server_ = nullptr;
  std::string address_;
};

extern const char kStatusPage[];

}  // namespace ds::coordinator

// From absl::Status to what a client sees.
#pragma once
#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ds/v1/error.pb.h"

namespace ds::coordinator {

// The status with its message, and `details` as an ErrorStatus in grpc-status-details-bin.
grpc::Status to_grpc(const absl::Status& status, const std::vector<v1::ErrorDetail>& details = {});

v1::ErrorDetail detail(const std::string& field, const std::string& value, const std::string& expected);

// The lines `path: what is wrong` of a refused spec, one detail each.
std::vector<v1::ErrorDetail> spec_details(const absl::Status& status);

}  // namespace ds::coordinator

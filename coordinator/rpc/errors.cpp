#include "coordinator/rpc/errors.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ds::coordinator {

grpc::Status to_grpc(const absl::Status& status, const std::vector<v1::ErrorDetail>& details) {
  if (status.ok()) return grpc::Status::OK;
  v1::ErrorStatus full;
  full.set_code(static_cast<int>(status.code()));
  full.set_message(std::string(status.message()));
  for (const v1::ErrorDetail& d : details) full.add_details()->PackFrom(d);
  return {static_cast<grpc::StatusCode>(status.code()), full.message(), full.SerializeAsString()};
}

v1::ErrorDetail detail(const std::string& field, const std::string& value, const std::string& expected) {
  v1::ErrorDetail d;
  d.set_field(field);
  d.set_value(value);
  d.set_expected(expected);
  return d;
}

std::vector<v1::ErrorDetail> spec_details(const absl::Status& status) {
  std::vector<v1::ErrorDetail> details;
  for (absl::string_view line : absl::StrSplit(status.message(), '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(": ", 1));
    details.push_back(detail(absl::StrCat("spec.", parts.first), "", std::string(parts.second)));
  }
  return details;
}

}  // namespace ds::coordinator

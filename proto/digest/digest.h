// Names of artifacts: "sha256:" and the 64 lower-case hexadecimal digits of the SHA-256 of their content.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace ds::digest {

constexpr char kPrefix[] = "sha256:";

bool is_digest(absl::string_view text);
// The digits alone, as a file's name. `digest` must be one.
std::string hex_of(absl::string_view digest);
// "sha256:0123456789ab", for people.
std::string brief(absl::string_view digest);

// Takes bytes as they come.
class Sha256 {
 public:
  Sha256();
  void update(absl::string_view bytes);
  // The name of what was taken. Once.
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

struct FileDigest {
  std::string digest;
  int64_t size = 0;  // bytes
};
// Reads a whole file. `on_bytes`, if given, hears how many bytes have been read, and says whether to go on.
// NotFound, PermissionDenied and such, with the path and the system's words; Cancelled.
absl::StatusOr<FileDigest> digest_file(const std::string& path, const std::function<bool(int64_t)>& on_bytes = {});

}  // namespace ds::digest

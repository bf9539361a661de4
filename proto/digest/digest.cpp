#include "proto/digest/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ds::digest {
namespace {

constexpr size_t kPrefixSize = sizeof kPrefix - 1, kDigits = 64, kBrief = 12;
constexpr size_t kBlock = 1 << 20;

void must(int good) {
  if (good != 1) throw std::runtime_error("[sha256] OpenSSL refused");
}

}  // namespace

bool is_digest(absl::string_view text) {
  return text.size() == kPrefixSize + kDigits && absl::StartsWith(text, kPrefix) &&
         std::all_of(text.begin() + kPrefixSize, text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string hex_of(absl::string_view digest) { return std::string(digest.substr(kPrefixSize)); }

std::string brief(absl::string_view digest) { return std::string(digest.substr(0, kPrefixSize + kBrief)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { must(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)); }

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

void Sha256::update(absl::string_view bytes) { must(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }

std::string Sha256::finish() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  must(EVP_DigestFinal_ex(context_.get(), bytes, &size));
  return absl::StrCat(kPrefix, absl::BytesToHexString({reinterpret_cast<const char*>(bytes), size}));
}

absl::StatusOr<FileDigest> digest_file(const std::string& path, const std::function<bool(int64_t)>& on_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  Sha256 sha;
  FileDigest result;
  std::vector<char> block(kBlock);
  absl::Status status;
  for (;;) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (got <= 0) break;
    sha.update({block.data(), static_cast<size_t>(got)});
    result.size += got;
    if (on_bytes && !on_bytes(result.size)) status = absl::CancelledError(absl::StrCat("reading ", path));
    if (!status.ok()) break;
  }
  ::close(fd);
  if (!status.ok()) return status;
  result.digest = sha.finish();
  return result;
}

}  // namespace ds::digest

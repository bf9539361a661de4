#include "coordinator/store/artifacts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ds::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kUnfinished[] = ".put-", kDamaged[] = ".damaged";
constexpr int64_t kReserve = 64 << 20;  // bytes of the disk that stay the log's
constexpr size_t kBlock = 1 << 20;

absl::Time time_of(const struct stat& info) { return absl::TimeFromTimespec(info.st_mtim); }

absl::Status named(const std::string& digest) {
  if (digest::is_digest(digest)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("[artifact] \"", digest.substr(0, 80),
                                                 "\" is not a digest: sha256: and 64 lower-case hexadecimal digits"));
}

// Of an artifact without a file at `path`. One that was found damaged is told so to all who ask, not only to the first.
absl::Status absent(const std::string& digest, const std::string& path) {
  if (::access(absl::StrCat(path, kDamaged).c_str(), F_OK) != 0)
    return absl::NotFoundError(absl::StrCat("[artifact] ", digest, " is not here"));
  return absl::DataLossError(
      absl::StrCat("[artifact] ", digest, " is damaged on the coordinator's disk, and set aside; upload it again"));
}

int64_t free_bytes(const std::string& folder) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return INT64_MAX;  // the write will tell
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

absl::Status sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool good = fd >= 0 && fsync(fd) == 0;
  const int why = errno;
  if (fd >= 0) ::close(fd);
  return good ? absl::OkStatus() : absl::ErrnoToStatus(why, absl::StrCat("[artifact] fsync of ", folder));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Artifacts>> Artifacts::open(const std::string& folder, int64_t most_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::InternalError(absl::StrCat("[artifact] cannot make ", folder, ": ", error.message()));
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (absl::StartsWith(entry.path().filename().string(), kUnfinished)) fs::remove(entry.path(), ignored);
  }
  if (error) return absl::InternalError(absl::StrCat("[artifact] cannot read ", folder, ": ", error.message()));
  return std::unique_ptr<Artifacts>(new Artifacts(folder, most_bytes));
}

std::string Artifacts::path(const std::string& digest) const {
  return absl::StrCat(folder_, "/", digest::hex_of(digest));
}

absl::StatusOr<ArtifactInfo> Artifacts::stat(const std::string& digest) const {
  if (absl::Status status = named(digest); !status.ok()) return status;
  struct stat info {};
  if (::stat(path(digest).c_str(), &info) != 0) {
    if (errno == ENOENT) return absent(digest, path(digest));
    return absl::ErrnoToStatus(errno, absl::StrCat("[artifact] ", path(digest)));
  }
  return ArtifactInfo{digest, info.st_size, time_of(info)};
}

absl::StatusOr<ArtifactInfo> Artifacts::use(const std::string& digest) {
  if (absl::Status status = named(digest); !status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  (void)utimensat(AT_FDCWD, path(digest).c_str(), nullptr, 0);  // stat() says if it is not there
  return stat(digest);
}

std::vector<ArtifactInfo> Artifacts::list() const {
  std::vector<ArtifactInfo> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    auto info = stat(absl::StrCat(digest::kPrefix, entry.path().filename().string()));
    if (info.ok()) found.push_back(*std::move(info));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.used > b.used; });
  return found;
}

absl::StatusOr<std::unique_ptr<Artifacts::Writer>> Artifacts::put(const std::string& digest, int64_t size) {
  if (absl::Status status = named(digest); !status.ok()) return status;
  if (size < 0) return absl::InvalidArgumentError(absl::StrCat("[artifact] ", digest, " of ", size, " bytes"));
  if (size > most_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat("[artifact] ", digest, " of ", size,
                                                     " bytes is above this coordinator's limit of ", most_bytes_,
                                                     " (its flag --artifact-limit)"));
  }
  if (const int64_t free = free_bytes(folder_); size > free - kReserve) {
    return absl::ResourceExhaustedError(absl::StrCat("[artifact] ", digest, " of ", size, " bytes does not fit: ", free,
                                                     " are free in ", folder_, ", of which ", kReserve,
                                                     " stay reserved"));
  }
  std::unique_ptr<Writer> writer(new Writer(*this, digest, size));
  std::string name = absl::StrCat(folder_, "/", kUnfinished, "XXXXXX");
  writer->fd_ = mkostemp(name.data(), O_CLOEXEC);
  if (writer->fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("[artifact] cannot make a file in ", folder_));
  writer->path_ = name;
  return writer;
}

Artifacts::Writer::~Writer() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

absl::Status Artifacts::Writer::failed(const char* what) const {
  const int why = errno;
  const std::string words = absl::StrCat("[artifact] ", digest_, ": ", what, " after ", written_, " of ", size_,
                                         " bytes, in ", owner_.folder_, ": ", std::strerror(why));
  if (why == ENOSPC || why == EDQUOT || why == EFBIG) return absl::ResourceExhaustedError(words);
  return absl::InternalError(words);
}

absl::Status Artifacts::Writer::write(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > size_ - written_) {
    return absl::InvalidArgumentError(
        absl::StrCat("[artifact] ", digest_, ": more bytes came than the ", size_, " that were announced"));
  }
  sha_.update(bytes);
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed("cannot write");
    written_ += wrote;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

absl::StatusOr<ArtifactInfo> Artifacts::Writer::commit() {
  if (written_ != size_) {
    return absl::InvalidArgumentError(
        absl::StrCat("[artifact] ", digest_, ": ", written_, " bytes came of the ", size_, " that were announced"));
  }
  if (const std::string got = sha_.finish(); got != digest_) {
    return absl::InvalidArgumentError(absl::StrCat("[artifact] the ", size_, " bytes that came are ", got, ", not ",
                                                   digest_, "; did the file change while it was sent?"));
  }
  if (fchmod(fd_, 0444) != 0 || fsync(fd_) != 0) return failed("cannot make it durable");
  if (::rename(path_.c_str(), owner_.path(digest_).c_str()) != 0) return failed("cannot rename it");
  path_.clear();
  (void)::unlink(absl::StrCat(owner_.path(digest_), kDamaged).c_str());
  if (absl::Status status = sync_folder(owner_.folder_); !status.ok()) return status;
  return owner_.use(digest_);
}

absl::StatusOr<std::unique_ptr<Artifacts::Reader>> Artifacts::read(const std::string& digest, int64_t offset) {
  if (absl::Status status = named(digest); !status.ok()) return status;
  std::unique_ptr<Reader> reader(new Reader(*this, digest, offset));
  reader->fd_ = ::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC);
  if (reader->fd_ < 0 && errno == ENOENT) return absent(digest, path(digest));
  struct stat info {};
  if (reader->fd_ < 0 || fstat(reader->fd_, &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("[artifact] ", path(digest)));
  }
  reader->size_ = info.st_size;
  if (offset < 0 || offset > info.st_size || lseek(reader->fd_, offset, SEEK_SET) != offset) {
    return absl::OutOfRangeError(
        absl::StrCat("[artifact] offset ", offset, " of ", digest, ", which has ", info.st_size, " bytes"));
  }
  reader->block_.resize(kBlock);
  return reader;
}

Artifacts::Reader::~Reader() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status Artifacts::Reader::damaged(const std::string& how) {
  const std::string file = owner_.path(digest_);
  absl::MutexLock lock(&owner_.mutex_);
  struct stat ours {
  }, there{};  // it may have been replaced by a good one since it was opened
  if (fstat(fd_, &ours) == 0 && ::stat(file.c_str(), &there) == 0 && ours.st_ino == there.st_ino) {
    (void)::rename(file.c_str(), absl::StrCat(file, kDamaged).c_str());
  }
  return absl::DataLossError(
      absl::StrCat("[artifact] ", digest_, " is damaged on the coordinator's disk (", how, "); upload it again"));
}

absl::StatusOr<absl::string_view> Artifacts::Reader::next() {
  ssize_t got;
  do {
    got = ::read(fd_, block_.data(), block_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return damaged(absl::StrCat("after ", read_, " bytes: ", std::strerror(errno)));
  const absl::string_view bytes(block_.data(), static_cast<size_t>(got));
  read_ += got;
  if (offset_ == 0) sha_.update(bytes);
  if (got > 0 || offset_ > 0) return bytes;
  if (const std::string is = sha_.finish(); is != digest_) {
    return damaged(absl::StrCat("its ", read_, " bytes are ", is));
  }
  return bytes;
}

int Artifacts::collect(const std::map<std::string, absl::Time>& needed, absl::Time since) {
  int removed = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    const std::string digest = absl::StrCat(
        digest::kPrefix,
        absl::string_view(name).substr(0, name.size() - (absl::EndsWith(name, kDamaged) ? sizeof kDamaged - 1 : 0)));
    if (!digest::is_digest(digest)) continue;  // a put at work
    const auto need = needed.find(digest);
    if (need != needed.end() && need->second >= since) continue;
    absl::MutexLock lock(&mutex_);
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) != 0 || time_of(info) >= since) continue;
    removed += ::unlink(entry.path().c_str()) == 0;
  }
  return removed;
}

}  // namespace ds::coordinator

// Artifacts on the coordinator's disk: FOLDER/HEX of their SHA-256. A file under that name is whole and durable; what
// is being written has another name. Damage is found when a file is read.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/digest/digest.h"

namespace ds::coordinator {

struct ArtifactInfo {
  std::string digest;
  int64_t size = 0;
  absl::Time used;  // last put, or last named by a job
};

// Any thread. Errors say which digest and why: InvalidArgument for what is no digest, NotFound for what is not here,
// DataLoss for what was found damaged.
class Artifacts {
 public:
  // Makes the folder, and removes what puts of an earlier process left unfinished. `most_bytes`: of one artifact.
  static absl::StatusOr<std::unique_ptr<Artifacts>> open(const std::string& folder, int64_t most_bytes);

  absl::StatusOr<ArtifactInfo> stat(const std::string& digest) const;
  // As stat(), and counts as a use: it will not be collected for the grace period.
  absl::StatusOr<ArtifactInfo> use(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<ArtifactInfo> list() const;

  // One put. What was written goes unless it was committed.
  class Writer {
   public:
    ~Writer();
    // ResourceExhausted: the disk is full. InvalidArgument: more bytes than were announced.
    absl::Status write(absl::string_view bytes);
    // Durable under its name when this returns. InvalidArgument: the bytes are not those of the digest.
    absl::StatusOr<ArtifactInfo> commit();

   private:
    friend class Artifacts;
    Writer(Artifacts& owner, std::string digest, int64_t size) : owner_(owner), digest_(digest), size_(size) {}
    absl::Status failed(const char* what) const;

    Artifacts& owner_;
    const std::string digest_;
    const int64_t size_;
    std::string path_;
    int fd_ = -1;
    int64_t written_ = 0;
    digest::Sha256 sha_;
  };
  // ResourceExhausted: above the limit, or more than the disk has.
  absl::StatusOr<std::unique_ptr<Writer>> put(const std::string& digest, int64_t size);

  // Reads an artifact from `offset` on. From its beginning, it knows at the end whether it was what its name says.
  class Reader {
   public:
    ~Reader();
    int64_t size() const { return size_; }
    // The next bytes; empty at the end. DataLoss: they are not those that were stored; the artifact is set aside then.
    absl::StatusOr<absl::string_view> next();

   private:
    friend class Artifacts;
    Reader(Artifacts& owner, std::string digest, int64_t offset)
        : owner_(owner), digest_(std::move(digest)), offset_(offset) {}
    absl::Status damaged(const std::string& how);

    Artifacts& owner_;
    const std::string digest_;
    const int64_t offset_;
    int fd_ = -1;
    int64_t size_ = 0, read_ = 0;
    std::vector<char> block_;
    digest::Sha256 sha_;
  };
  // OutOfRange: the offset is beyond its end.
  absl::StatusOr<std::unique_ptr<Reader>> read(const std::string& digest, int64_t offset = 0);

  // Removes what was not used since `since` and, if `needed` knows it, was not needed then either. Returns how many.
  int collect(const std::map<std::string, absl::Time>& needed, absl::Time since) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Artifacts(std::string folder, int64_t most_bytes) : folder_(std::move(folder)), most_bytes_(most_bytes) {}
  std::string path(const std::string& digest) const;

  const std::string folder_;
  const int64_t most_bytes_;
  absl::Mutex mutex_;  // between the last look at a file's age and its removal nobody may use it
};

}  // namespace ds::coordinator

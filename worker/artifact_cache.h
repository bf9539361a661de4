// The artifacts that the ranks of this worker need, fetched from the coordinator: FOLDER/HEX, verified, shared by ranks
// and jobs, and the least recently used of them removed when the folder is full.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/digest/digest.h"

namespace ds::worker {

// Where artifacts come from.
class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // Gives the size of the whole, then its bytes from `offset` on, and blocks until all came or the stream broke. When a
  // callback does not return OK, neither does this, at once.
  struct Sink {
    std::function<absl::Status(int64_t size)> size;
    std::function<absl::Status(absl::string_view bytes)> bytes;
  };
  virtual absl::Status fetch(const std::string& digest, int64_t offset, const Sink& sink) = 0;
};

struct ArtifactCacheOptions {
  std::string folder;
  int64_t most_bytes = int64_t{32} << 30;
  absl::Duration patience = absl::Seconds(60);  // without a new byte, before a fetch fails
  int threads = 3;                              // fetches at a time
};

class ArtifactCache {
 public:
  // `changed` is called, on a thread of the cache's and without its lock, when a fetch has ended.
  ArtifactCache(ArtifactCacheOptions options, ArtifactSource& source, std::function<void()> changed);
  ~ArtifactCache();

  // One user of an artifact: while it lives the file stays. The first one starts the fetch, the last one to go before
  // its end cancels it.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept { *this = std::move(other); }
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { reset(); }
    void reset();
    const std::string& digest() const { return digest_; }

   private:
    friend class ArtifactCache;
    Lease(ArtifactCache* cache, std::string digest) : cache_(cache), digest_(std::move(digest)) {}
    ArtifactCache* cache_ = nullptr;
    std::string digest_;
  };
  Lease acquire(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);

  struct View {
    bool ready = false;         // `path` is the verified file
    absl::Status status;        // not OK: the fetch has failed. NotFound and DataLoss will not get better
    int64_t got = 0, size = 0;  // bytes; size 0: not known yet
    std::string path;
  };
  View look(const Lease& lease) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Stats {
    int64_t fetched_bytes = 0, fetches = 0, hits = 0, evictions = 0;
    int64_t cached_bytes = 0;
  };
  Stats stats() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What a file was when it was verified: as long as it is this, it is not read again.
  struct Identity {
    uint64_t inode = 0;
    int64_t size = -1, modified_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  enum class State { idle, queued, fetching, ready, failed };
  struct Entry {
    int users = 0;
    State state = State::idle;
    absl::Status status;
    int64_t size = 0, got = 0;  // size: on disk, or reserved for what is being fetched
    Identity verified;
    absl::Time used = absl::InfinitePast();
  };
  struct Fetch;  // one at work

  void scan() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void run() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status bring(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status fetch(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status attempt(Fetch& fetch) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status make_room(const std::string& digest, int64_t size) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status still_wanted(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);
  bool pause(const std::string& digest, absl::Duration d) ABSL_LOCKS_EXCLUDED(mutex_);
  void progress(const std::string& digest, int64_t got, int64_t fetched) ABSL_LOCKS_EXCLUDED(mutex_);
  void release(const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);
  std::string path(const std::string& digest) const;
  static Identity identity(const std::string& path);

  const ArtifactCacheOptions options_;
  ArtifactSource& source_;
  const std::function<void()> changed_;
  absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by digest: on disk, or used
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t removed_ ABSL_GUARDED_BY(mutex_) = 0;  // names files on their way out
  std::vector<std::thread> threads_;
};

// The coordinator's ArtifactService, on a connection of its own: bytes must not hold up heartbeats.
std::unique_ptr<ArtifactSource> make_coordinator_source(const std::string& address);

}  // namespace ds::worker

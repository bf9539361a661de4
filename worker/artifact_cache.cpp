#include "worker/artifact_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "worker/logging.h"
#include "worker/process.h"

namespace ds::worker {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100), kLongestPause = absl::Seconds(2);
constexpr char kPart[] = ".part";

// What another attempt may help against.
bool passes(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsUnknown(status) || absl::IsAborted(status);
}

absl::Status unwanted(const std::string& digest) {
  return absl::FailedPreconditionError(absl::StrCat("[artifact] nobody waits for ", digest, " any more"));
}

}  // namespace

// Bytes of one artifact on their way to a file beside its place. A broken stream goes on where it broke.
struct ArtifactCache::Fetch {
  Fetch(std::string digest, std::string path) : digest(std::move(digest)), path(std::move(path)) {}
  ~Fetch() { ::unlink(path.c_str()); }

  absl::Status open() {
    sha = digest::Sha256();
    got = 0;
    spoilt = false;
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444));
    return file.get() >= 0 ? absl::OkStatus() : failed("cannot make");
  }
  absl::Status take(absl::string_view bytes) {
    sha.update(bytes);
    for (absl::string_view rest = bytes; !rest.empty();) {
      const ssize_t wrote = ::write(file.get(), rest.data(), rest.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return failed("cannot write");
      rest.remove_prefix(static_cast<size_t>(wrote));
    }
    got += static_cast<int64_t>(bytes.size());
    return absl::OkStatus();
  }
  absl::Status failed(const char* what) const {
    return absl::InternalError(
        absl::StrCat("[artifact] ", what, " ", path, " after ", got, " bytes: ", std::strerror(errno)));
  }

  const std::string digest, path;
  UniqueFd file;
  digest::Sha256 sha;
  int64_t got = 0, size = -1;
  bool spoilt = false;  // all came, and it is not what its name says
};

ArtifactCache::Lease& ArtifactCache::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  reset();
  cache_ = std::exchange(other.cache_, nullptr);
  digest_ = std::move(other.digest_);
  return *this;
}

void ArtifactCache::Lease::reset() {
  if (cache_ != nullptr) std::exchange(cache_, nullptr)->release(digest_);
}

ArtifactCache::ArtifactCache(ArtifactCacheOptions options, ArtifactSource& source, std::function<void()> changed)
    : options_(std::move(options)), source_(source), changed_(std::move(changed)) {
  {
    absl::MutexLock lock(&mutex_);
    scan();
  }
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

ArtifactCache::~ArtifactCache() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

// What an earlier process left: whole files are verified when they are needed, the rest goes.
void ArtifactCache::scan() {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  for (const auto& file : fs::directory_iterator(options_.folder, error)) {
    const std::string digest = absl::StrCat(digest::kPrefix, file.path().filename().string());
    std::error_code ignored;
    if (!digest::is_digest(digest)) {
      fs::remove(file.path(), ignored);
      continue;
    }
    struct stat info {};
    if (::stat(file.path().c_str(), &info) != 0) continue;
    Entry& entry = entries_[digest];
    entry.size = info.st_size;
    entry.used = absl::TimeFromTimespec(info.st_mtim);
  }
}

std::string ArtifactCache::path(const std::string& digest) const {
  return absl::StrCat(options_.folder, "/", digest::hex_of(digest));
}

ArtifactCache::Identity ArtifactCache::identity(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size, absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim))};
}

ArtifactCache::Lease ArtifactCache::acquire(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[digest];
  ++entry.users;
  entry.used = absl::Now();
  const bool known = entry.verified.size >= 0 && entry.verified == identity(path(digest));
  if (entry.state == State::queued || entry.state == State::fetching) {
    // Comes anyway.
  } else if (known) {
    entry.state = State::ready;
    ++stats_.hits;
  } else {
    entry.state = State::queued;
    entry.status = absl::OkStatus();
    entry.got = 0;
    queue_.push_back(digest);
  }
  return Lease(this, digest);
}

void ArtifactCache::release(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[digest];
  entry.used = absl::Now();
  if (--entry.users > 0 || entry.state == State::queued || entry.state == State::fetching) return;  // run() sees it
  entry.state = State::idle;
  if (entry.size == 0 && !entry.status.ok()) entries_.erase(digest);  // never came
}

ArtifactCache::View ArtifactCache::look(const Lease& lease) {
  absl::MutexLock lock(&mutex_);
  const Entry& entry = entries_[lease.digest()];
  View view;
  view.ready = entry.state == State::ready;
  view.status = entry.status;
  view.got = entry.got;
  view.size = entry.size;
  if (view.ready) view.path = path(lease.digest());
  return view;
}

ArtifactCache::Stats ArtifactCache::stats() {
  absl::MutexLock lock(&mutex_);
  Stats stats = stats_;
  for (const auto& [digest, entry] : entries_) stats.cached_bytes += entry.size;
  return stats;
}

void ArtifactCache::run() {
  while (true) {
    std::string digest;
    {
      absl::MutexLock lock(&mutex_);
      auto work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
      mutex_.Await(absl::Condition(&work));
      if (stopping_) return;
      digest = std::move(queue_.front());
      queue_.pop_front();
      entries_[digest].state = State::fetching;
    }
    const absl::Status status = bring(digest);
    if (!status.ok()) spdlog::warn("artifact={} not fetched: {}", digest, std::string(status.message()));
    {
      absl::MutexLock lock(&mutex_);
      Entry& entry = entries_[digest];
      entry.status = status;
      entry.state = status.ok() ? State::ready : State::failed;
      if (!status.ok()) entry.size = std::max<int64_t>(0, identity(path(digest)).size);
      if (!status.ok() && entry.users > 0 && absl::IsFailedPrecondition(status)) {  // wanted again meanwhile
        entry.status = absl::OkStatus();
        entry.state = State::queued;
        queue_.push_back(digest);
      }
      if (entry.users == 0) entry.state = State::idle;
      if (entry.users == 0 && entry.size == 0) entries_.erase(digest);
    }
    changed_();
  }
}

// Makes sure that the file is there and is what its name says.
absl::Status ArtifactCache::bring(const std::string& digest) {
  const std::string file = path(digest);
  bool good = false;
  if (::access(file.c_str(), F_OK) == 0) {
    const auto found = digest::digest_file(file, [&](int64_t) { return still_wanted(digest).ok(); });
    if (absl::IsCancelled(found.status())) return unwanted(digest);
    good = found.ok() && found->digest == digest;
    if (!good) {
      spdlog::warn("artifact={} is damaged in the cache, fetched anew: {}", digest,
                   found.ok() ? "its bytes are " + found->digest : std::string(found.status().message()));
      ::unlink(file.c_str());
    }
  }
  if (!good) {
    if (absl::Status status = fetch(digest); !status.ok()) return status;
  }
  (void)utimensat(AT_FDCWD, file.c_str(), nullptr, 0);  // for the next process: when it was used
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[digest];
  entry.verified = identity(file);
  entry.size = entry.got = entry.verified.size;
  stats_.hits += good;
  stats_.fetches += !good;
  return absl::OkStatus();
}

absl::Status ArtifactCache::fetch(const std::string& digest) {
  Fetch fetch(digest, absl::StrCat(path(digest), kPart));
  if (absl::Status status = fetch.open(); !status.ok()) return status;
  absl::Duration wait = kFirstPause;
  absl::Time heard = absl::Now();
  for (bool again = false;;) {
    const int64_t before = fetch.got;
    const absl::Status status = attempt(fetch);
    if (status.ok()) break;
    // Damaged on the way, it may be; if not, the coordinator says so when it is asked for the whole.
    if ((fetch.spoilt || absl::IsOutOfRange(status)) && !again) {
      again = true;
      if (absl::Status opened = fetch.open(); !opened.ok()) return opened;
      continue;
    }
    if (fetch.got > before) {
      heard = absl::Now();
      wait = kFirstPause;
    }
    if (!passes(status)) return status;
    if (absl::Now() - heard > options_.patience) {
      return absl::UnavailableError(absl::StrCat("[artifact] ", digest, ": got ", fetch.got,
                                                 " bytes, and no more of the coordinator for ",
                                                 absl::FormatDuration(options_.patience), ": ", status.message()));
    }
    if (!pause(digest, wait)) return unwanted(digest);
    wait = std::min(wait * 2, kLongestPause);
  }
  if (::rename(fetch.path.c_str(), path(digest).c_str()) != 0) return fetch.failed("cannot rename");
  spdlog::info("artifact={} fetched bytes={}", digest, fetch.got);
  return absl::OkStatus();
}

absl::Status ArtifactCache::attempt(Fetch& fetch) {
  ArtifactSource::Sink sink;
  sink.size = [&](int64_t size) {
    fetch.size = size;
    return make_room(fetch.digest, size);
  };
  sink.bytes = [&](absl::string_view bytes) {
    if (absl::Status status = fetch.take(bytes); !status.ok()) return status;
    progress(fetch.digest, fetch.got, static_cast<int64_t>(bytes.size()));
    return still_wanted(fetch.digest);
  };
  if (absl::Status status = source_.fetch(fetch.digest, fetch.got, sink); !status.ok()) return status;
  if (fetch.got < fetch.size) return absl::UnavailableError("the stream ended early");
  if (const std::string is = fetch.sha.finish(); is != fetch.digest) {
    fetch.spoilt = true;
    return absl::DataLossError(absl::StrCat("[artifact] what came for ", fetch.digest, " is ", is));
  }
  return absl::OkStatus();
}

// Removes what was used longest ago, until `size` more bytes fit. What a rank uses stays.
absl::Status ArtifactCache::make_room(const std::string& digest, int64_t size) {
  std::vector<std::string> out;
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = entries_[digest];
    entry.size = size;  // reserved
    int64_t total = 0;
    std::vector<std::pair<absl::Time, std::string>> idle;
    for (const auto& [name, other] : entries_) {
      total += other.size;
      if (other.users == 0 && other.state == State::idle) idle.emplace_back(other.used, name);
    }
    std::sort(idle.begin(), idle.end());
    for (const auto& [used, name] : idle) {
      if (total <= options_.most_bytes) break;
      total -= entries_[name].size;
      entries_.erase(name);
      ++stats_.evictions;
      // Out of the way at once, so that who wants it now fetches it; a big file takes its time to go.
      out.push_back(absl::StrCat(options_.folder, "/.removed-", ++removed_));
      (void)::rename(path(name).c_str(), out.back().c_str());
      spdlog::info("artifact={} removed from the cache", name);
    }
    if (total > options_.most_bytes) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("[artifact] ", digest, " of ", size, " bytes does not fit into this worker's cache of ",
                       options_.most_bytes, ", of which ", total - size, " are in use (its flag --artifact-cache)"));
      entry.size = 0;
    }
  }
  for (const std::string& file : out) ::unlink(file.c_str());
  return status;
}

absl::Status ArtifactCache::still_wanted(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  return stopping_ || entries_[digest].users == 0 ? unwanted(digest) : absl::OkStatus();
}

bool ArtifactCache::pause(const std::string& digest, absl::Duration d) {
  absl::MutexLock lock(&mutex_);
  auto over = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || entries_[digest].users == 0; };
  return !mutex_.AwaitWithTimeout(absl::Condition(&over), d);
}

void ArtifactCache::progress(const std::string& digest, int64_t got, int64_t fetched) {
  absl::MutexLock lock(&mutex_);
  entries_[digest].got = got;
  stats_.fetched_bytes += fetched;
}

}  // namespace ds::worker

#include "coordinator/store/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace ds::coordinator {
namespace {

// Ids are made by next_id(): letters, digits and dashes. Anything else may be a path.
bool is_job_id(const std::string& job) {
  return !job.empty() && job.size() < 100 && std::all_of(job.begin(), job.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::Status failed(const std::string& path) {
  return absl::InternalError(absl::StrCat("[logs] ", path, ": ", std::strerror(errno)));
}

}  // namespace

std::string Logs::path(const std::string& job, LogKey key) const {
  return absl::StrCat(folder_, "/", job, "/", key.generation, ".", key.rank, ".log");
}

absl::StatusOr<int64_t> Logs::append(const std::string& job, LogKey key, int64_t offset, const std::string& text) {
  if (!is_job_id(job) || key.generation < 1 || key.rank < 0) {
    return absl::InvalidArgumentError(absl::StrCat("[logs] no log \"", job, "\" ", key.generation, " ", key.rank));
  }
  absl::MutexLock lock(&mutex_);
  const std::string file = path(job, key);
  std::error_code error;
  std::filesystem::create_directories(absl::StrCat(folder_, "/", job), error);
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return failed(file);
  struct stat info;
  int64_t size = fstat(fd, &info) == 0 ? info.st_size : 0;
  const int64_t known = size - offset;  // of text
  bool good = true;
  if (known >= 0 && known < static_cast<int64_t>(text.size())) {
    const ssize_t wrote = ::write(fd, text.data() + known, text.size() - known);
    good = wrote >= 0;
    size += std::max<ssize_t>(wrote, 0);
  }
  const absl::Status status = good ? absl::OkStatus() : failed(file);
  ::close(fd);
  if (!status.ok()) return status;
  return size;
}

std::vector<LogKey> Logs::list(const std::string& job) const {
  std::vector<LogKey> keys;
  if (!is_job_id(job)) return keys;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat(folder_, "/", job), error)) {
    LogKey key;
    long long generation;
    if (std::sscanf(entry.path().filename().c_str(), "%lld.%d.log", &generation, &key.rank) != 2) continue;
    key.generation = generation;
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::string Logs::read(const std::string& job, LogKey key, int64_t offset, bool rest, int64_t limit) const {
  std::string text;
  const int fd = ::open(path(job, key).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  text.resize(limit);
  text.resize(std::max<ssize_t>(pread(fd, text.data(), limit, offset), 0));
  ::close(fd);
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) {
    text.resize(line + 1);
  } else if (static_cast<int64_t>(text.size()) == limit) {
    size_t cut = text.size() - 1;
    while (cut > 0 && (text[cut] & 0xc0) == 0x80) --cut;  // the last character may not be whole
    text.resize(cut);
  } else if (!rest) {
    text.clear();
  }
  return text;
}

}  // namespace ds::coordinator

// The ranks' logs: FOLDER/JOB/GENERATION.RANK.log, appended by offset so that a batch may come twice.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace ds::coordinator {

struct LogKey {
  int64_t generation = 0;
  int32_t rank = 0;
  auto operator<=>(const LogKey&) const = default;
};

// Any thread.
class Logs {
 public:
  explicit Logs(std::string folder) : folder_(std::move(folder)) {}

  // Appends what of `text` lies beyond the end of the file, and returns the file's size. Text beyond a gap is not
  // taken: the size then tells the sender where to go on. InvalidArgument: not a job's name.
  absl::StatusOr<int64_t> append(const std::string& job, LogKey key, int64_t offset, const std::string& text);

  // The logs of a job, oldest generation first.
  std::vector<LogKey> list(const std::string& job) const;

  // Whole lines from `offset` on, at most `limit` bytes; with `rest` also a last line without an end. A line above the
  // limit is cut between two characters of UTF-8.
  std::string read(const std::string& job, LogKey key, int64_t offset, bool rest, int64_t limit = 64 << 10) const;

 private:
  std::string path(const std::string& job, LogKey key) const;

  const std::string folder_;
  absl::Mutex mutex_;  // one append at a time: the offset is checked against the size
};

}  // namespace ds::coordinator

// The log of one rank on its way to the coordinator: a position in a file that an executor writes. Not thread-safe.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ds/v1/worker.pb.h"

namespace ds::worker {

class LogTail {
 public:
  LogTail(std::string path, std::string job, int64_t generation, int32_t rank);

  // DATA/logs/JOB/gen-G-rank-R.log
  static std::string path_of(const std::string& data, const std::string& job, int64_t generation, int32_t rank);
  // Logs that an earlier process of this worker did not ship to their end.
  static std::vector<std::unique_ptr<LogTail>> leftovers(const std::string& data);

  bool is(const std::string& job, int64_t generation, int32_t rank) const;
  // Is there something to send? Looks at the file.
  bool ready() const;
  // The next piece: whole lines, except when one is longer than a piece or the writer has ended. Bytes that are not
  // UTF-8 become '?', one for one, so that offsets stay those of the file.
  std::optional<v1::LogBatch> next();
  void acknowledge(int64_t offset);         // bytes that the coordinator has stored
  void rewind() { sent_ = acknowledged_; }  // a new stream: what was not acknowledged goes again
  void finish() { finished_ = true; }       // the writer has ended
  // Everything is stored by the coordinator: leaves a mark beside the file, so that no later process sends it again.
  bool shipped();
  // The last lines, at most `bytes`, for a report of its end.
  std::string last_lines(int lines, int64_t bytes) const;

 private:
  int64_t size() const;

  std::string path_, job_;
  int64_t generation_;
  int32_t rank_;
  int64_t sent_ = 0, acknowledged_ = 0;
  bool finished_ = false;
};

}  // namespace ds::worker

// Which generation owns a job's folder. A worker that was cut off may still run executors of an older generation: they
// see the newer number here and end before they write beside it.
#pragma once
#include <cstdint>
#include <string>

namespace ds::worker {

class Fence {
 public:
  // Claims JOB_DIR for `generation` unless a newer one has; throws std::runtime_error when it cannot be written.
  Fence(const std::string& job_dir, int64_t generation);
  // The newer generation that owns the folder now, or 0.
  int64_t overtaken_by() const;

 private:
  const std::string path_;
  const int64_t generation_;
};

}  // namespace ds::worker

// The job's records on the shared disk, one file a generation. A record is here before the checkpoint that follows it
// is visible, so a job that resumes there can hand on what a killed executor or worker still held in memory.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ds/v1/job.pb.h"
#include "worker/process.h"

namespace ds::worker {

class Journal {
 public:
  // JOB_DIR/metrics/gen-G.records; throws std::system_error when it cannot be written.
  Journal(const std::string& job_dir, int64_t generation);

  // One write(2): it survives this process.
  void append(std::span<const v1::MetricRecord> records);

  // What older generations wrote of steps in (after, up_to], ascending; of two generations the newer one's word stands.
  // The evaluations at `after` too: they follow their step, and one at 0 follows none.
  static std::vector<v1::MetricRecord> replay(const std::string& job_dir, int64_t generation, int64_t after,
                                              int64_t up_to);

 private:
  UniqueFd file_;
};

}  // namespace ds::worker

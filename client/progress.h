// The progress of a job as it trains: a bar on a terminal, else a plain line every few seconds.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "ds/v1/job.pb.h"

namespace ds::client {

// "[=====>    ]  45%  step 1055/2345  loss 0.4312  10240 samples/s  ETA 16s", at most `columns` wide.
std::string progress_bar(const v1::Job& job, int columns);
// "j-1 RUNNING step 1055/2345 epoch 2 loss 0.4312 10240 samples/s ETA 16s"
std::string progress_line(const v1::Job& job);

class Progress {
 public:
  explicit Progress(FILE* out);
  // Lets go of the bar's line.
  ~Progress();
  void show(const v1::Job& job);
  void lost(const absl::Status& status);

 private:
  using Steady = std::chrono::steady_clock;
  void clear_bar();

  FILE* const out_;
  const bool terminal_;
  bool bar_ = false;  // stands on the present line
  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  std::string reason_;
  Steady::time_point shown_{};
};

}  // namespace ds::client

// A job planned on the slots of this machine, as data_parallel: auto would be. No coordinator is asked: the ds-executor
// that stands beside dsctl traces the model and measures the slots.
#pragma once
#include <string>

#include "absl/status/statusor.h"
#include "client/view.h"
#include "ds/v1/worker.pb.h"
#include "scheduler/plan/data_parallel.h"

namespace ds::client {

struct JobPlan {
  v1::JobSpec spec;
  v1::ModelProfile profile;
  v1::Constants constants;
  int slots = 1;
  plan::DataParallelPlan plan;
};

// `folder`: of the job file, which its relative paths are of. `slots`: 0 for one a core. InvalidArgument: more slots
// than cores, or a model that cannot be traced (a script, a file that is not there).
absl::StatusOr<JobPlan> plan_job(const v1::JobSpec& spec, const std::string& folder, int slots);

// At most `top` layouts, the chosen one counted.
View job_plan_view(const JobPlan& plan, int top);

}  // namespace ds::client

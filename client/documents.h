// Jobs, workers and metric records as the JSON documents that docs/cli.md promises.
#pragma once

#include <string>
#include <vector>

#include "client/view.h"
#include "ds/v1/artifact.pb.h"
#include "ds/v1/job.pb.h"
#include "ds/v1/worker.pb.h"

namespace ds::client {

Json job_document(const v1::Job& job);
Json metric_document(const v1::MetricRecord& record);
Json worker_document(const v1::Worker& worker);

View job_view(const v1::Job& job);
View jobs_view(const std::vector<v1::Job>& jobs);
View metrics_view(const std::vector<v1::MetricRecord>& records);
View worker_view(const v1::Worker& worker);
View workers_view(const std::vector<v1::Worker>& workers);
View artifacts_view(const std::vector<v1::Artifact>& artifacts);

// What a run came to, in one object: {"job", "state", "test_accuracy", "train_seconds", "ranks"}.
Json result_document(const v1::Job& job);

std::string state_name(v1::JobState state);          // "RUNNING"
std::string failure_name(v1::FailureClass failure);  // "oom"; "": none
Json time_or_null(int64_t microseconds);             // RFC 3339; 0: null

}  // namespace ds::client

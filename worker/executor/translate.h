// Between the service's messages and the engine's plain structs.
#pragma once
#include "ds/v1/executor.pb.h"
#include "ds/v1/worker.pb.h"
#include "engine/train/trainer.h"

namespace ds::worker {

// The file that a field of the spec means to an executor: what the worker fetched for an artifact's digest, or the path
// itself. Throws std::runtime_error for a digest that the worker did not fetch.
std::string local_path(const v1::StartRank& start, const std::string& name);
train::TrainConfig to_config(const v1::StartRank& start, int threads);
v1::MetricRecord to_message(const train::StepRecord& record, int64_t generation);
v1::ExecutorBeat to_beat(const train::TrainStatus& status);

}  // namespace ds::worker

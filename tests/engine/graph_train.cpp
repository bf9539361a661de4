// Trains a graph file on a file of tensors and prints what came of it, for the tests of the Python package:
// graph_train GRAPH DATA JOB_DIR OPTIMIZER LR BATCH STEPS RANKS SHARDS [ZERO [STOP_AT [SCHEDULE WARMUP]]]; 0 shards:
// not deterministic. One JSON object:
// {"samples": [[...] a step], "losses": [...], "evaluations": [[loss, accuracy]], "warnings": [...]}; errors go to
// stderr.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/data/dataset.h"
#include "engine/data/sampler.h"
#include "tests/engine/train_run.h"

namespace ds::train {
namespace {

TrainConfig config_of(int count, char** arg) {
  TrainConfig c;
  c.job = "graph";
  c.generation = 1;
  c.model.graph = arg[1];
  c.data.dataset = "tensors";
  c.data.path = arg[2];
  c.job_dir = arg[3];
  c.optimizer = {arg[4], std::stod(arg[5]), 0.9, 0.01, 0.9, 0.999, 1e-8};
  c.batch_size = std::stoll(arg[6]);
  c.max_steps = std::stoll(arg[7]);
  c.virtual_shards = std::stoll(arg[9]);
  c.deterministic = c.virtual_shards > 0;
  c.epochs = 1000;
  c.seed = 7;
  if (count > 10) c.zero = std::stoi(arg[10]);
  if (count > 13) c.schedule = {arg[12], std::stoll(arg[13]), 0};
  return c;
}

nlohmann::json report(const TrainConfig& c, const Outcome& o) {
  nlohmann::json out{{"losses", o.losses()}, {"warnings", o.warnings}, {"evaluations", nlohmann::json::array()}};
  for (const StepRecord& r : o.records)
    if (r.kind == StepRecord::Kind::eval) out["evaluations"].push_back({r.loss, r.accuracy});
  data::DatasetOptions options;
  options.path = c.data.path;
  data::Sampler sampler(data::open_dataset("tensors", options)->size(), c.batch_size, c.seed);
  for (int64_t step = 0; step < c.max_steps; ++step) {
    auto batch = sampler.batch(step);
    out["samples"].push_back(std::vector<int64_t>(batch.begin(), batch.end()));
  }
  return out;
}

}  // namespace
}  // namespace ds::train

int main(int count, char** arg) {
  if (count < 10) return std::cerr << "usage: see the first lines of graph_train.cpp\n", 2;
  try {
    ds::train::TrainConfig c = ds::train::config_of(count, arg);
    std::cout << ds::train::report(c, ds::train::run(c, std::stoi(arg[8]), count > 11 ? std::stoll(arg[11]) : -1))
              << std::endl;
  } catch (const ds::train::UserError& e) {
    std::cerr << "user error: " << e.what() << std::endl;
    return 1;
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 3;
  }
  return 0;
}

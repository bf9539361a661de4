// A training job on real ranks: threads over the inproc transport.
#pragma once
#include <mutex>
#include <thread>

#include "engine/train/trainer.h"

namespace ds::train {

class Listener final : public TrainListener {
 public:
  void on_start(int64_t step, int64_t) override { start = step; }
  void on_records(std::span<const StepRecord> r) override { records.insert(records.end(), r.begin(), r.end()); }
  void on_progress(const TrainProgress& p) override { progress = p; }
  void on_checkpoint(const std::string&, int64_t step) override {
    std::lock_guard lock(mutex);
    checkpoints.push_back(step);
  }
  void on_warning(const std::string& text) override {
    std::lock_guard lock(mutex);
    warnings.push_back(text);
  }
  bool stop_requested() override { return stop_at >= 0 && status_.step >= stop_at; }
  TrainStatus& status() override { return status_; }

  int64_t start = -1, stop_at = -1;
  std::vector<StepRecord> records;
  std::vector<int64_t> checkpoints;
  std::vector<std::string> warnings;
  TrainProgress progress;
  std::mutex mutex;

 private:
  TrainStatus status_;
};

struct Outcome {
  std::vector<StepRecord> records;
  std::vector<int64_t> checkpoints;
  std::vector<std::string> warnings;
  int64_t start = 0;
  TrainEnd end = TrainEnd::finished;
  std::vector<double> losses() const {
    std::vector<double> out;
    for (auto& r : records)
      if (r.kind == StepRecord::Kind::train) out.push_back(r.loss);
    return out;
  }
};

inline Outcome run(TrainConfig config, int ranks, int64_t stop_at = -1) {
  config.ranks = ranks;
  std::vector<Listener> listeners(ranks);
  std::vector<std::unique_ptr<comm::Endpoint>> endpoints;
  std::vector<std::string> addresses;
  for (int r = 0; r < ranks; ++r) {
    endpoints.push_back(comm::make_endpoint(ranks == 1 ? "self" : "inproc"));
    addresses.push_back(endpoints.back()->address());
  }
  Outcome out;
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> errors(ranks);
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      TrainConfig mine = config;
      mine.rank = r;
      if (r == ranks - 1) listeners[r].stop_at = stop_at;
      try {
        auto comm = endpoints[r]->connect(r, addresses);
        TrainEnd end = train(mine, *comm, listeners[r]);
        if (r == 0) out.end = end;
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  for (auto& t : threads) t.join();
  for (auto& e : errors)
    if (e) std::rethrow_exception(e);
  out.records = listeners[0].records;
  out.checkpoints = listeners[0].checkpoints;
  out.warnings = listeners[0].warnings;
  out.start = listeners[0].start;
  return out;
}

}  // namespace ds::train

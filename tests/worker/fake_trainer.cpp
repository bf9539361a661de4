// An engine for the daemon's tests: train() counts steps and does what data.dataset asks for, as "key=value,...":
//   steps=N      how many (default 1000000)      ms=N        for how long each (default 5)
//   resume=N     restored steps                  every=N     a checkpoint every N steps
//   hang=N       stand still after step N        collective=N  the same, as one that waits for its peers
//   crash=N      abort after step N              error=user|engine|nan|memory  throw that kind at once
//   shout=N      lines of log per step
// It needs no other rank; a stop is obeyed at the next step.
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

#include "engine/core/device.h"
#include "engine/train/profile.h"
#include "engine/train/trainer.h"

namespace ds {
namespace {

using Orders = std::map<std::string, std::string>;

Orders parse(const std::string& text) {
  Orders orders;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) {
    size_t equals = word.find('=');
    if (equals != std::string::npos) orders[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return orders;
}

int64_t number(const Orders& orders, const char* key, int64_t otherwise) {
  auto at = orders.find(key);
  return at == orders.end() ? otherwise : std::atoll(at->second.c_str());
}

// Nothing wakes it: a step takes its time, a hang all time.
void wait_ms(int64_t ms) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  if (ms < 0) never.wait(lock, [] { return false; });
  never.wait_for(lock, std::chrono::milliseconds(ms), [] { return false; });
}

void one_step(const train::TrainConfig& config, const Orders& orders, int64_t step, train::TrainListener& listener) {
  train::TrainStatus& status = listener.status();
  int64_t ms = number(orders, "ms", 5);
  wait_ms(ms);
  for (int64_t i = 0; i < number(orders, "shout", 1); ++i) {
    std::printf("step %lld line %lld of rank %d\n", static_cast<long long>(step), static_cast<long long>(i),
                config.rank);
  }
  status.step = step;
  ++status.steps;
  ++status.ticks;
  status.samples += config.batch_size;
  status.step_seconds = status.step_seconds + 1e-3 * static_cast<double>(ms);
  if (config.rank != 0) return;
  train::StepRecord record;
  record.step = step;
  record.loss = 1.0 / static_cast<double>(step);
  record.samples = config.batch_size;
  listener.on_records({&record, 1});
  listener.on_progress({step, number(orders, "steps", 1000000), 0, 0});
  if (int64_t every = number(orders, "every", 0); every > 0 && step % every == 0) {
    ++status.checkpoints;
    listener.on_checkpoint(config.job_dir + "/checkpoints/step-" + std::to_string(step), step);
  }
}

void obey(const Orders& orders, int64_t step, train::TrainStatus& status) {
  if (number(orders, "crash", -1) == step) std::abort();
  if (number(orders, "collective", -1) == step) {
    train::PhaseScope waiting(status, train::Phase::collective);
    wait_ms(-1);
  }
  if (number(orders, "hang", -1) == step) wait_ms(-1);
}

}  // namespace

train::TrainEnd train::train(const TrainConfig& config, comm::Communicator&, TrainListener& listener) {
  Orders orders = parse(config.data.dataset);
  if (orders["error"] == "user") throw UserError("[data] no such dataset: \"" + config.data.dataset + "\"");
  if (orders["error"] == "nan") throw Diverged("the loss is nan at step 1");
  if (orders["error"] == "memory") throw std::bad_alloc();
  if (orders["error"] == "engine") throw std::runtime_error("[matmul] out of memory");
  int64_t step = number(orders, "resume", 0), steps = number(orders, "steps", 1000000);
  listener.on_start(step, steps);
  PhaseScope computing(listener.status(), Phase::computing);
  while (step < steps) {
    if (listener.stop_requested()) {
      if (config.rank == 0) listener.on_checkpoint(config.job_dir + "/checkpoints/step-" + std::to_string(step), step);
      return TrainEnd::stopped;
    }
    one_step(config, orders, ++step, listener);
    obey(orders, step, listener.status());
  }
  return TrainEnd::finished;
}

// profile=crash|user: as the orders of train().
train::ModelProfile train::profile(const TrainConfig& config) {
  Orders orders = parse(config.data.dataset);
  if (orders["profile"] == "crash") std::abort();
  if (orders["profile"] == "user") throw UserError("[model] cannot be traced");
  ModelProfile profile;
  profile.parameters = 1000;
  profile.gradient_bytes = 4000;
  profile.sample.matmul_flops = 1e6;
  profile.layers.push_back({"layers.0", 1000, 1e6 / 3, 100});
  return profile;
}

train::SlotRates train::measure_rates() { return {1e9, 1e9, 1e9, 1e-6}; }
train::AllReduceRates train::measure_all_reduce(comm::Communicator&) { return {1e-5, 1e9}; }
void set_threads(int) {}

namespace comm {
namespace {

struct LonelyCommunicator final : Communicator {
  LonelyCommunicator(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const char* transport() const override { return "lonely"; }
  [[noreturn]] static void refuse() { throw CommError("[lonely] the tests' trainer makes no collective calls"); }
  std::shared_ptr<Buffer> allocate(size_t) override { refuse(); }
  std::unique_ptr<Work> all_reduce_async(void*, size_t, DType, ReduceOp, const Options&) override { refuse(); }
  std::unique_ptr<Work> reduce_scatter_async(void*, const void*, size_t, DType, ReduceOp, const Options&) override {
    refuse();
  }
  std::unique_ptr<Work> all_gather_async(void*, const void*, size_t, DType, const Options&) override { refuse(); }
  void broadcast(void*, size_t, DType, int, const Options&) override { refuse(); }
  std::unique_ptr<Work> send_async(const void*, size_t, int, uint32_t) override { refuse(); }
  std::unique_ptr<Work> receive_async(void*, size_t, int, uint32_t) override { refuse(); }
  void barrier() override { refuse(); }
  void progress() override {}
  void abort(const std::string&) override {}
  Stats stats() const override { return {}; }
  int rank_, size_;
};

struct LonelyEndpoint final : Endpoint {
  std::string address() const override { return "lonely"; }
  std::unique_ptr<Communicator> connect(int rank, std::span<const std::string> addresses, double) override {
    if (addresses[0] == "block") wait_ms(-1);  // for peers that never come
    return std::make_unique<LonelyCommunicator>(rank, static_cast<int>(addresses.size()));
  }
};

}  // namespace

std::unique_ptr<Endpoint> make_endpoint(std::string_view, const EndpointOptions&) {
  return std::make_unique<LonelyEndpoint>();
}

}  // namespace comm
}  // namespace ds

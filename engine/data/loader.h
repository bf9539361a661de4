// The batches of one rank, in order, read ahead by one thread when asked to.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/sampler.h"

namespace ds::data {

struct Batch {
  int64_t step = 0;                  // counts from 0 over all epochs
  int64_t epoch = 0;                 // 0-based
  std::span<const int64_t> indices;  // this rank's samples
  const void* inputs = nullptr;      // the dataset's columns (offsets_of) of these samples, 64-byte aligned
  const void* targets = nullptr;
  int64_t global_samples = 0;  // of the global batch
  uint64_t global_hash = 0;    // sample_hash of the global batch
};

class Loader {
 public:
  // Reads part `part` of `parts` of each global batch from `first_step` on, without end. `dataset` must outlive this.
  // read_ahead: batches that a thread of its own reads ahead; 0: read inside next(), no thread. It pays where a core is
  // idle (4 % of a 0.65 ms step of 128 images) and costs where each rank has one core (5 %), hence the default.
  Loader(const Dataset& dataset, Sampler sampler, int64_t part, int64_t parts, int64_t first_step, int read_ahead = 0);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch; its memory is valid until the next call. Throws what reading it threw.
  const Batch& next();

 private:
  struct Slot;
  void fill(Slot& slot);
  void run();

  const Dataset& dataset_;
  Sampler sampler_;
  int64_t part_, parts_, step_;
  std::vector<std::unique_ptr<Slot>> slots_;  // a ring; the consumer holds the one before read_
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t written_ = 0, read_ = 0;  // batches filled and taken, under mutex_
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace ds::data

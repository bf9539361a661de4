// Saves checkpoints behind the training step's back: save() copies, a low-priority thread writes.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/io/checkpoint.h"

namespace ds::io {

struct SaveResult {
  int64_t step = 0;
  std::string folder;                          // of the complete set; empty on error, and on ranks that do not commit
  std::string error;                           // empty: durable
  bool stale = false;                          // the error is StaleGeneration
  uint64_t bytes = 0;                          // of this rank's shard
  double copy_seconds = 0, write_seconds = 0;  // in save(), behind it
};

// Memory that grows and is never cleared: the pages of the last snapshot are used again.
class Snapshot {
 public:
  void reserve(size_t bytes, size_t alignment);
  char* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> data_;
  size_t capacity_ = 0;
};

// Called on the writer's thread with this rank's encoded ShardReport. On rank 0 returns all ranks' reports once they
// are there; elsewhere hands this one over and returns {}. It must not use the trainer's Communicator, which belongs to
// one thread. Throws to give up.
using CollectReports = std::function<std::vector<std::string>(int64_t step, const std::string& report)>;

struct WriterOptions {
  std::string dir;  // JOB_DIR/checkpoints
  int64_t generation = 0;
  int keep = 2;  // newest complete sets that stay, at least 1
  int rank = 0;
  int world = 1;
  bool sharded = false;  // false: rank 0 writes everything and save() of the others does nothing; true: a shard a rank
  CollectReports collect;  // sharded; empty: through small files in the shared folder
  double collect_timeout_seconds = 120;
  std::function<void(const SaveResult&)> done;  // on the writer's thread, after each save; must not throw
};

class CheckpointWriter {
 public:
  // Rank 0 claims the folder, so make it before the first step. Throws StaleGeneration.
  explicit CheckpointWriter(WriterOptions options);
  ~CheckpointWriter();  // finishes the save under way
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Returns when the tensors are copied; state.step names the set. Waits for the save before it first, so there is one
  // snapshot in memory at most.
  void save(const TrainingState& state, std::span<const TensorView> tensors);
  // Until nothing is under way; the last save's result (step -1 if there was none).
  SaveResult wait();
  bool busy() const;

 private:
  void run();
  void write(SaveResult& result) const;
  std::vector<std::string> collect_through_folder(const std::string& report) const;

  WriterOptions options_;
  TrainingState state_;  // the snapshot: owned by save() while idle, by the thread while busy_
  std::vector<TensorView> tensors_;
  Snapshot bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false, stop_ = false;  // under mutex_
  SaveResult last_;                   // under mutex_
  std::thread thread_;
};

}  // namespace ds::io

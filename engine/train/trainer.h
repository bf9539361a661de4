// One rank of one training job: the loop that ds-executor runs. Plain C++: the service's messages are translated by the
// executor, so that the loop runs the same in a test, a bench and a daemon.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"

namespace ds::train {

struct ModelConfig {
  std::string graph;              // file of a traced model; then nothing below counts
  std::string family;             // mlp | cnn | gpt
  std::vector<int64_t> hidden;    // mlp: widths of the hidden layers
  std::vector<int64_t> channels;  // cnn: output channels of each convolution
  int64_t depth = 0;              // mlp, cnn: layers, the list's last width repeated; 0: as the list says
  int64_t layers = 0, heads = 0, width = 0, context = 0, vocab = 0;  // gpt
};

struct DataConfig {
  std::string dataset;  // fashion_mnist | tokens | tensors
  std::string path;     // folder of the IDX files, or the file; empty: where the dataset's Debian package puts it
  int64_t limit = 0;    // only the first N training samples; 0: all
};

struct OptimizerConfig {
  std::string name = "adamw";  // sgd | adamw | graph: that of the traced model's file
  double lr = 0, momentum = 0, weight_decay = 0, beta1 = 0, beta2 = 0, eps = 0;
};

struct ScheduleConfig {
  std::string name = "constant";  // constant | cosine
  int64_t warmup_steps = 0;
  double min_lr = 0;
};

struct CheckpointConfig {
  int64_t every_steps = 0;  // 0: only at the end
  int keep = 0;             // the newest N stay; 0: all
};

struct TrainConfig {
  std::string job;
  std::string
      job_dir;  // shared by all ranks; checkpoints go to JOB_DIR/checkpoints, and the newest good one is resumed
  int64_t generation = 0;  // of this start: fences checkpoints of older ones
  int rank = 0, ranks = 1;
  int zero = 1;     // 0: every rank updates everything; 1: its share of it (ZeRO-1)
  int threads = 1;  // compute threads of this rank, already bounded by its cores
  ModelConfig model;
  DataConfig data;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  int64_t epochs = 1;
  int64_t batch_size = 0;  // global: over all ranks
  uint64_t seed = 0;
  int64_t max_steps = 0;       // 0: all epochs
  bool deterministic = false;  // the same bits for every number of ranks
  int64_t virtual_shards = 0;  // deterministic: parts of the batch that are summed in a fixed tree
};

// One line of the job's history: a training step, or an evaluation.
struct StepRecord {
  enum class Kind : uint8_t { train, eval };
  Kind kind = Kind::train;
  int64_t step = 0;               // after this step (1-based)
  int64_t epoch = 0;              // 0-based
  double time = 0;                // Unix seconds
  double loss = 0;                // mean over the global batch, or over the test set
  double samples_per_second = 0;  // train: of the whole job
  double accuracy = 0;            // eval; NaN where targets are no classes
  uint64_t sample_hash = 0;       // train: sum of a hash of each sample's index, over the global batch
  int64_t samples = 0;            // train: in the global batch
  double step_seconds = 0;        // train
  double lr = 0;                  // train
};

struct TrainProgress {
  int64_t step = 0;  // completed steps
  int64_t total_steps = 0;
  int64_t epoch = 0;
  double train_seconds = 0;  // in training steps, evaluation and checkpoints left out; of this run and those it resumed
};

// What a rank is doing now. A rank in `collective` waits for its peers, so it is not the one to blame for a standstill.
enum class Phase : uint8_t { starting, computing, collective, evaluating, checkpointing };

// Written by the loop, read by the thread that sends beats. `ticks` moves with every sign of life: a step, a batch of
// an evaluation, a shard written; a number that stands still beside fresh beats is a hang.
struct TrainStatus {
  std::atomic<Phase> phase{Phase::starting};
  std::atomic<uint64_t> ticks{0};
  std::atomic<int64_t> step{0};     // completed steps
  std::atomic<int64_t> samples{0};  // used by this rank since it started
  std::atomic<int64_t> steps{0};    // done by this rank since it started
  std::atomic<int64_t> checkpoints{0};
  std::atomic<double> step_seconds{0};        // sum since the start
  std::atomic<double> checkpoint_seconds{0};  // sum since the start
  std::atomic<double> allreduce_seconds{0};   // Communicator::stats(), copied after each step
  std::atomic<uint64_t> allreduce_bytes{0};
};

// Sets the phase for a scope and puts the one before back.
class PhaseScope {
 public:
  PhaseScope(TrainStatus& status, Phase phase) : status_(status), before_(status.phase.exchange(phase)) {
    status_.ticks.fetch_add(1);
  }
  ~PhaseScope() { status_.phase = before_; }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  TrainStatus& status_;
  Phase before_;
};

// Called by the training loop's thread, except that on_checkpoint may come from the thread that writes checkpoints. All
// are quick: none waits for a network.
class TrainListener {
 public:
  virtual ~TrainListener() = default;
  // Once, before the first step; `step` completed steps were restored (0: a fresh start).
  virtual void on_start(int64_t step, int64_t total_steps) = 0;
  // Rank 0 only. Every record up to step S is passed before the checkpoint of step S becomes visible on disk: a job
  // that resumes there then has its whole history.
  virtual void on_records(std::span<const StepRecord> records) = 0;
  // Rank 0 only; after a step, or when something in it changed.
  virtual void on_progress(const TrainProgress& progress) = 0;
  // Rank 0 only: the checkpoint in the folder `path` is complete and durable.
  virtual void on_checkpoint(const std::string& path, int64_t step) = 0;
  // Rank 0 only: something the user should know of, in words (a checkpoint that was refused or could not be written).
  // May come from the thread that writes checkpoints.
  virtual void on_warning(const std::string& text) = 0;
  // Every rank asks before each step. Ranks hear of a stop at different times: the loop agrees on one step for all of
  // them, writes a checkpoint there and returns TrainEnd::stopped.
  virtual bool stop_requested() = 0;
  virtual TrainStatus& status() = 0;
};

enum class TrainEnd : uint8_t { finished, stopped };

// The user's to mend, and would come back in the next try: an unknown dataset, a missing file, a batch that does not
// divide. Everything else that train() throws is taken as retryable.
struct UserError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A loss that is not a number: of the settings, perhaps, not of the files.
struct Diverged : UserError {
  using UserError::UserError;
};

// Trains to the end, or to a stop; the last checkpoint is durable when it returns. Throws UserError, comm::CommError
// when a peer is gone, or what the engine throws.
TrainEnd train(const TrainConfig& config, comm::Communicator& communicator, TrainListener& listener);

}  // namespace ds::train

// The parts of the training loop.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/loader.h"
#include "engine/io/checkpoint_writer.h"
#include "engine/models/graph_optimizer.h"
#include "engine/optim/optimizer.h"
#include "engine/parallel/data_parallel.h"
#include "engine/train/trainer.h"

namespace ds::train {

struct StepResult {
  double loss;  // mean over the global batch
  bool stop;    // some rank was asked to stop
};

using Traced = std::optional<models::GraphFile>;
// The file of a job's traced model; empty for a built-in family. Throws UserError.
Traced read_traced(const TrainConfig& config);
// The job's data. Throws UserError.
std::unique_ptr<data::Dataset> open_data(const TrainConfig& config, const Traced& graph, data::Split split);
// What the job trains, with its initial values on `device`; a traced model's are those of its file. Throws Error.
std::unique_ptr<models::Model> build_model(const TrainConfig& config, Traced graph, const data::Dataset& data,
                                           Device device = {});
// The optimizer of the traced model's file, where the job says so; else empty. Throws UserError where there is none.
std::optional<models::GraphOptimizer> traced_optimizer(const TrainConfig& config, const Traced& graph);
// `updates`: of a traced optimizer, those for each of `of`.
std::unique_ptr<optim::Optimizer> build_optimizer(const TrainConfig& config,
                                                  const std::optional<models::GraphOptimizer>& traced,
                                                  std::vector<nn::NamedParameter> of, std::vector<int> updates);

// Model, optimizer and the step that moves them: the same trace every step, so planned once.
class Learner {
 public:
  // `graph`: the traced model to train; empty: the built-in one that the config names.
  Learner(const TrainConfig& config, std::optional<models::GraphFile> graph, const data::Dataset& dataset,
          comm::Communicator& communicator, TrainStatus& status);
  // Forward, backward, reduction and update of one global batch, of which this rank sees `batch`.
  StepResult step(const data::Batch& batch, double lr, bool stop);
  models::Model& model() { return *model_; }
  uint64_t seed() const { return config_.seed; }
  // Parameters, buffers and optimizer states by name, as checkpoints hold them, valid until the next step. Collective;
  // rank 0 gets them, the others nothing.
  std::vector<io::TensorView> state();
  void restore(const io::Checkpoint& checkpoint);  // throws Error naming a tensor that is missing or of another type
  optim::Optimizer& optimizer() { return *optimizer_; }
  // The optimizer for which every rank holds all states although the job would share them out; "": there is none such.
  std::string unshared() const;

 private:
  struct Local {  // of one shard, or the sum of several
    Tensor loss;
    std::vector<Tensor> grads;
    std::vector<Tensor> buffers;  // new values of changing_
  };
  Local forward_backward(const models::Samples& samples, const models::Draw& draw);
  Local local_batch(const data::Batch& batch);
  void average(std::span<const Tensor> sums, std::vector<Tensor>& buffers) const;
  std::vector<nn::NamedParameter> with_state(const optim::States& states) const;
  std::vector<Tensor> read(const io::Checkpoint& checkpoint, const std::string& prefix,
                           const std::vector<nn::NamedParameter>& of, const std::vector<Tensor>& like = {}) const;

  const TrainConfig& config_;
  const data::Dataset& dataset_;
  int shards_;  // of this rank
  std::optional<models::GraphOptimizer> traced_;
  std::unique_ptr<models::Model> model_;
  std::vector<nn::NamedParameter> parameters_;  // those that are updated alike one after the other
  std::vector<nn::NamedParameter> buffers_;
  std::vector<nn::NamedParameter> changing_;  // of buffers_, those that training changes
  bool sharded_;                              // each rank updates its part of the parameters
  std::unique_ptr<parallel::DataParallel> parallel_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::vector<Tensor> held_;  // what state() shows
};

// A batch of the dataset as tensors over its memory.
models::Samples samples_of(const data::Dataset& dataset, const void* inputs, const void* targets, int64_t samples);

struct Evaluation {
  double loss, accuracy;  // accuracy is NaN where targets are no classes
};
// Over the first `samples` of a set, each rank its part; the result does not depend on the number of ranks.
Evaluation evaluate(Learner& learner, const data::Dataset& test, int64_t samples, comm::Communicator& communicator,
                    TrainStatus& status);

}  // namespace ds::train

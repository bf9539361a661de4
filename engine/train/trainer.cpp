#include "engine/train/trainer.h"

#include <chrono>
#include <cmath>

#include "engine/core/device.h"
#include "engine/data/decode_cache.h"
#include "engine/io/checkpoint_layout.h"
#include "engine/lazy/executor.h"
#include "engine/train/run.h"

namespace ds::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A tensor engine's Error here comes from the job file: a model that does not fit its data.
Learner make_learner(const TrainConfig& c, Traced graph, const data::Dataset& d, comm::Communicator& comm,
                     TrainStatus& status) {
  try {
    return Learner(c, std::move(graph), d, comm, status);
  } catch (const Error& e) {
    throw UserError(e.what());
  }
}

class Loop {
 public:
  Loop(const TrainConfig& config, comm::Communicator& comm, TrainListener& listener)
      : config_(config),
        comm_(comm),
        listener_(listener),
        status_(listener.status()),
        graph_(read_traced(config)),
        train_(open_data(config, graph_, data::Split::train)),
        test_(open_data(config, graph_, data::Split::test)),
        sampler_(make_sampler()),
        learner_(make_learner(config, std::move(graph_), *train_, comm, status_)) {
    total_steps_ = config.epochs * sampler_.steps_per_epoch();
    if (config.max_steps > 0) total_steps_ = std::min(total_steps_, config.max_steps);
    schedule_ = {config.schedule.name == "cosine" ? optim::Schedule::Kind::cosine : optim::Schedule::Kind::constant,
                 config.optimizer.lr, config.schedule.min_lr, config.schedule.warmup_steps, total_steps_};
    if (config_.rank == 0) writer_.emplace(writer_options());
    set_progress_hook([this] { comm_.progress(); });
  }
  ~Loop() { set_progress_hook({}); }

  TrainEnd run() {
    resume();
    listener_.on_start(step_, total_steps_);
    if (test_->size() == 0 && config_.rank == 0)
      listener_.on_warning("the data has no test set: there will be no evaluation");
    if (std::string name = learner_.unshared(); !name.empty() && config_.rank == 0)
      listener_.on_warning("strategy.zero: every rank holds all states of " + name +
                           ": it does not look at each element alone, so they cannot be shared out");
    data::Loader loader(*train_, sampler_, config_.rank, config_.ranks, step_);
    while (step_ < total_steps_) {
      bool stop = train_step(loader);
      bool epoch_ends = step_ % sampler_.steps_per_epoch() == 0;
      if (epoch_ends || step_ == total_steps_) record_evaluation();
      bool due = config_.checkpoint.every_steps > 0 && step_ % config_.checkpoint.every_steps == 0;
      if (stop || due || step_ == total_steps_) save();
      if (stop && step_ < total_steps_) return finish(TrainEnd::stopped);
    }
    if (restored_ == total_steps_) record_evaluation();  // the run before ended between its checkpoint and its report
    return finish(TrainEnd::finished);
  }

 private:
  data::Sampler make_sampler() const {
    if (config_.batch_size % config_.ranks)
      throw UserError("train.batch_size: " + std::to_string(config_.batch_size) + " does not divide into " +
                      std::to_string(config_.ranks) + " ranks");
    try {
      return data::Sampler(train_->size(), config_.batch_size, config_.seed);
    } catch (const data::DataError& e) {
      throw UserError(e.what());
    }
  }

  io::WriterOptions writer_options() {
    io::WriterOptions o;
    o.dir = config_.job_dir + "/checkpoints";
    o.generation = config_.generation;
    o.keep = config_.checkpoint.keep > 0 ? config_.checkpoint.keep : 1 << 30;
    o.done = [this](const io::SaveResult& r) {
      if (!r.error.empty()) {
        listener_.on_warning("checkpoint of step " + std::to_string(r.step) + " failed: " + r.error);
        return;
      }
      status_.checkpoints.fetch_add(1);
      listener_.on_checkpoint(r.folder, r.step);
    };
    return o;
  }

  // Rank 0 finds the newest good set; all ranks read that one.
  void resume() {
    int64_t step = 0;
    io::Latest found;
    if (config_.rank == 0) {
      found = io::latest(config_.job_dir + "/checkpoints");
      for (const std::string& why : found.refused) listener_.on_warning("checkpoint refused: " + why);
      if (found.checkpoint) step = found.checkpoint->state().step;
    }
    if (comm_.size() > 1) {
      PhaseScope scope(status_, Phase::collective);
      comm_.broadcast(&step, 1, DType::i64, 0);
    }
    if (step == 0) return;
    if (!found.checkpoint)
      found.checkpoint = io::Checkpoint::open(config_.job_dir + "/checkpoints/" + io::set_name(step));
    const io::TrainingState& state = found.checkpoint->state();
    check_samples(found.checkpoint->folder(), state);
    try {
      learner_.restore(*found.checkpoint);
    } catch (const Error& e) {  // another model or optimizer than the one that wrote it
      throw UserError(e.what());
    }
    if (auto it = state.extra.find("train_seconds"); it != state.extra.end()) train_seconds_ = std::stod(it->second);
    step_ = restored_ = state.step;
    status_.step = step_;
  }

  // Steps stand for samples only under the seed, batch and data they were counted with.
  void check_samples(const std::string& folder, const io::TrainingState& state) const {
    auto check = [&](const char* field, const std::string& then, const std::string& now) {
      if (then != now)
        throw UserError(folder + " was trained with " + field + " " + then + ", this run has " + now +
                        ": its steps would be other samples");
    };
    auto was = [&](const char* key, const std::string& otherwise) {
      auto it = state.extra.find(key);
      return it == state.extra.end() ? otherwise : it->second;
    };
    std::string batch = std::to_string(config_.batch_size), samples = std::to_string(train_->size());
    check("train.seed", std::to_string(state.seed), std::to_string(config_.seed));
    check("train.batch_size", was("batch_size", batch), batch);
    check("training samples", was("samples", samples), samples);
  }

  bool train_step(data::Loader& loader) {
    auto start = std::chrono::steady_clock::now();
    status_.phase = Phase::computing;
    double lr = schedule_.at(step_);
    const data::Batch& batch = loader.next();
    StepResult result = learn(batch, lr);
    ++step_;
    double seconds = seconds_since(start);
    train_seconds_ += seconds;
    publish(batch, seconds);
    if (config_.rank == 0) {
      StepRecord r;
      r.step = step_, r.epoch = batch.epoch, r.time = unix_time(), r.loss = result.loss, r.lr = lr;
      r.samples = batch.global_samples, r.sample_hash = batch.global_hash;
      r.step_seconds = seconds, r.samples_per_second = static_cast<double>(r.samples) / seconds;
      listener_.on_records({&r, 1});
      listener_.on_progress({step_, total_steps_, batch.epoch, train_seconds_});
    }
    check_finite("the loss", result.loss);
    return result.stop;
  }

  // An index outside of its range, as of a class that there is not, comes from the data and would come back.
  StepResult learn(const data::Batch& batch, double lr) {
    try {
      return learner_.step(batch, lr, listener_.stop_requested());
    } catch (const IndexError& e) {
      throw UserError(e.what());
    }
  }

  void publish(const data::Batch& batch, double seconds) {
    status_.ticks.fetch_add(1);
    status_.step = step_;
    status_.steps.fetch_add(1);
    status_.samples.fetch_add(static_cast<int64_t>(batch.indices.size()));
    status_.step_seconds = status_.step_seconds + seconds;
    comm::Stats s = comm_.stats();
    status_.allreduce_seconds = s.all_reduce_seconds;
    status_.allreduce_bytes = s.all_reduce_bytes;
  }

  void check_finite(const char* what, double loss) const {
    if (!std::isfinite(loss))
      throw Diverged(std::string(what) + " is " + std::to_string(loss) + " at step " + std::to_string(step_));
  }

  // Also where what the last update broke is seen, before a checkpoint of it is written.
  void record_evaluation() {
    if (test_->size() == 0) {
      int64_t few = std::min<int64_t>(train_->size(), 64);
      check_finite("the loss over samples", evaluate(learner_, *train_, few, comm_, status_).loss);
      return;
    }
    Evaluation e = evaluate(learner_, *test_, test_->size(), comm_, status_);
    check_finite("the loss over the test set", e.loss);
    if (config_.rank != 0) return;
    StepRecord r;
    r.kind = StepRecord::Kind::eval;
    r.step = step_, r.epoch = sampler_.epoch_of(step_ - 1), r.time = unix_time(), r.loss = e.loss,
    r.accuracy = e.accuracy;
    listener_.on_records({&r, 1});
  }

  void save() {
    PhaseScope scope(status_, writer_ ? Phase::checkpointing : Phase::collective);
    auto start = std::chrono::steady_clock::now();
    std::vector<io::TensorView> tensors = learner_.state();
    if (!writer_) return;
    io::TrainingState s;
    s.step = step_;
    s.epoch = sampler_.epoch_of(step_), s.position = sampler_.position_of(step_);
    s.seed = config_.seed;
    s.optimizer_step = learner_.optimizer().steps();
    s.world_size = config_.ranks;
    s.schedule = config_.schedule.name;
    s.extra["train_seconds"] = std::to_string(train_seconds_);
    s.extra["batch_size"] = std::to_string(config_.batch_size);
    s.extra["samples"] = std::to_string(train_->size());
    writer_->save(s, tensors);
    status_.checkpoint_seconds = status_.checkpoint_seconds + seconds_since(start);
  }

  TrainEnd finish(TrainEnd end) {
    if (writer_) {
      PhaseScope scope(status_, Phase::checkpointing);
      io::SaveResult last = writer_->wait();
      if (!last.error.empty()) throw std::runtime_error("the last checkpoint could not be written: " + last.error);
    }
    if (comm_.size() > 1) {  // nobody leaves while a peer still reads its memory
      PhaseScope scope(status_, Phase::collective);
      comm_.barrier();
    }
    return end;
  }

  const TrainConfig& config_;
  comm::Communicator& comm_;
  TrainListener& listener_;
  TrainStatus& status_;
  Traced graph_;  // until the learner has it
  std::unique_ptr<data::Dataset> train_, test_;
  data::Sampler sampler_;
  Learner learner_;
  std::optional<io::CheckpointWriter> writer_;
  optim::Schedule schedule_;
  int64_t total_steps_ = 0, step_ = 0, restored_ = -1;
  double train_seconds_ = 0;
};

}  // namespace

Traced read_traced(const TrainConfig& c) {
  if (c.model.graph.empty()) return {};
  try {
    return models::read_graph(c.model.graph);
  } catch (const Error& e) {
    throw UserError(e.what());
  }
}

std::unique_ptr<data::Dataset> open_data(const TrainConfig& c, const Traced& graph, data::Split split) {
  data::DatasetOptions o;
  o.path = c.data.path;
  o.split = split;
  o.limit = split == data::Split::train ? c.data.limit : 0;
  o.context = !graph ? c.model.context : graph->inputs[0].shape.rank() > 0 ? graph->inputs[0].shape[0] : 0;
  o.vocab = graph ? 0 : c.model.vocab;
  o.cache = data::default_cache_folder();
  try {
    return data::open_dataset(c.data.dataset, o);
  } catch (const data::DataError& e) {
    throw UserError(e.what());
  }
}

TrainEnd train(const TrainConfig& config, comm::Communicator& communicator, TrainListener& listener) {
  set_threads(config.threads);
  return Loop(config, communicator, listener).run();
}

}  // namespace ds::train

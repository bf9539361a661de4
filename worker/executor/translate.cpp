#include "worker/executor/translate.h"

#include <cmath>
#include <stdexcept>

#include "proto/digest/digest.h"

namespace ds::worker {
namespace {

train::ModelConfig to_model(const v1::ModelSpec& m) {
  train::ModelConfig model;
  model.family = m.family();
  model.hidden.assign(m.hidden().begin(), m.hidden().end());
  model.channels.assign(m.channels().begin(), m.channels().end());
  model.depth = m.depth();
  model.layers = m.layers();
  model.heads = m.heads();
  model.width = m.width();
  model.context = m.context();
  model.vocab = m.vocab();
  return model;
}

train::OptimizerConfig to_optimizer(const v1::OptimizerSpec& o) {
  return {o.name(), o.lr(), o.momentum(), o.weight_decay(), o.beta1(), o.beta2(), o.eps()};
}

v1::ExecutorPhase to_phase(train::Phase phase) {
  switch (phase) {
    case train::Phase::starting:
      return v1::EXECUTOR_STARTING;
    case train::Phase::computing:
      return v1::EXECUTOR_COMPUTING;
    case train::Phase::collective:
      return v1::EXECUTOR_COLLECTIVE;
    case train::Phase::evaluating:
      return v1::EXECUTOR_EVALUATING;
    case train::Phase::checkpointing:
      return v1::EXECUTOR_CHECKPOINTING;
  }
  return v1::EXECUTOR_PHASE_UNSPECIFIED;
}

}  // namespace

std::string local_path(const v1::StartRank& start, const std::string& name) {
  if (!digest::is_digest(name)) return name;
  const auto found = start.artifacts().find(name);
  if (found == start.artifacts().end()) throw std::runtime_error("[ds-executor] the worker gave no file for " + name);
  return found->second;
}

train::TrainConfig to_config(const v1::StartRank& start, int threads) {
  const v1::JobSpec& spec = start.spec();
  const v1::TrainSpec& t = spec.train();
  train::TrainConfig config;
  config.job = start.job();
  config.job_dir = start.job_dir();
  config.generation = start.generation();
  config.rank = start.rank();
  config.ranks = start.ranks();
  config.threads = threads;
  config.zero = spec.strategy().zero();
  config.model = to_model(spec.model());
  config.model.graph = local_path(start, spec.model().graph());
  config.data = {spec.data().dataset(), local_path(start, spec.data().path()), spec.data().limit()};
  config.optimizer = to_optimizer(t.optimizer());
  config.schedule = {t.schedule().name(), t.schedule().warmup_steps(), t.schedule().min_lr()};
  config.checkpoint = {spec.checkpoint().every_steps(), spec.checkpoint().keep()};
  config.epochs = t.epochs();
  config.batch_size = t.batch_size();
  config.seed = t.seed();
  config.max_steps = t.max_steps();
  config.deterministic = t.deterministic();
  config.virtual_shards = t.virtual_shards();
  return config;
}

v1::MetricRecord to_message(const train::StepRecord& record, int64_t generation) {
  v1::MetricRecord m;
  m.set_kind(record.kind == train::StepRecord::Kind::train ? "train" : "eval");
  m.set_step(record.step);
  m.set_epoch(record.epoch);
  m.set_time(record.time);
  m.set_loss(record.loss);
  m.set_samples_per_second(record.samples_per_second);
  if (record.kind == train::StepRecord::Kind::eval && !std::isnan(record.accuracy)) m.set_accuracy(record.accuracy);
  m.set_generation(generation);
  m.set_sample_hash(record.sample_hash);
  m.set_samples(record.samples);
  m.set_step_seconds(record.step_seconds);
  m.set_lr(record.lr);
  return m;
}

v1::ExecutorBeat to_beat(const train::TrainStatus& status) {
  v1::ExecutorBeat beat;
  beat.set_step(status.step);
  beat.set_steps(status.steps);
  beat.set_samples(status.samples);
  beat.set_ticks(status.ticks);
  beat.set_phase(to_phase(status.phase));
  beat.set_allreduce_seconds(status.allreduce_seconds);
  beat.set_allreduce_bytes(status.allreduce_bytes);
  beat.set_step_seconds(status.step_seconds);
  beat.set_checkpoint_seconds(status.checkpoint_seconds);
  beat.set_checkpoints(status.checkpoints);
  return beat;
}

}  // namespace ds::worker

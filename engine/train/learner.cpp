#include "engine/autograd/grad.h"
#include "engine/train/run.h"

namespace ds::train {
namespace {

constexpr int64_t kBucketBytes =
    1 << 20;  // small: on one host the reduction of a bucket costs about its memory traffic

models::ModelSpec spec_of(const TrainConfig& c, const data::Dataset& d) {
  models::ModelSpec s;
  s.family = c.model.family;
  s.hidden = c.model.hidden;
  s.channels = c.model.channels;
  s.layers = c.model.layers, s.heads = c.model.heads, s.width = c.model.width, s.context = c.model.context;
  s.input_shape.assign(d.input_shape().begin(), d.input_shape().end());
  s.classes = d.classes();
  return s;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const OptimizerConfig& c, std::vector<nn::NamedParameter> p) {
  if (c.name == "sgd") return optim::sgd(std::move(p), {c.momentum, c.weight_decay});
  if (c.name == "adamw") return optim::adamw(std::move(p), {c.beta1, c.beta2, c.eps, c.weight_decay});
  throw UserError("train.optimizer.name: \"" + c.name + "\" is none of sgd, adamw");
}

Tensor wrap(const void* data, DType t, std::span<const int64_t> sample, int64_t samples) {
  Shape shape{samples};
  for (int64_t d : sample) shape.push_back(d);
  size_t bytes = static_cast<size_t>(shape.numel()) * size_of(t);
  return Tensor::wrap(make_ref<Storage>(Device{}, const_cast<void*>(data), bytes, nullptr), 0, t, shape);
}

int local_shards(const TrainConfig& c) {
  if (!c.deterministic) return 1;
  int64_t v = c.virtual_shards;
  if (v < c.ranks || v % c.ranks || (v / c.ranks & (v / c.ranks - 1)) || c.batch_size % v)
    throw UserError("train.virtual_shards: " + std::to_string(v) + " must be a power-of-two multiple of the " +
                    std::to_string(c.ranks) + " ranks and divide the batch of " + std::to_string(c.batch_size));
  return static_cast<int>(v / c.ranks);
}

}  // namespace

Tensor input_tensor(const data::Dataset& d, const void* inputs, int64_t samples) {
  return wrap(inputs, d.input_dtype(), d.input_shape(), samples);
}

Tensor target_tensor(const data::Dataset& d, const int64_t* targets, int64_t samples) {
  return wrap(targets, DType::i64, std::vector<int64_t>{}, samples * d.target_elements());
}

Learner::Learner(const TrainConfig& config, const data::Dataset& dataset, comm::Communicator& communicator,
                 TrainStatus& status)
    : config_(config),
      dataset_(dataset),
      shards_(local_shards(config)),
      model_(models::make_model(spec_of(config, dataset), config.seed)),
      parameters_(model_->named_parameters()),
      optimizer_(make_optimizer(config.optimizer, parameters_)) {
  eval(optimizer_->values());
  optimizer_->settle();
  if (communicator.size() == 1) return;
  // Backward is done with the last parameters first; the loss and the wish to stop travel with them.
  std::vector<Type> types{{DType::f32, {}}, {DType::f32, {}}};
  for (size_t i = parameters_.size(); i-- > 0;) types.push_back(parameters_[i].parameter->type());
  auto on_wait = [&status](bool begins) { status.phase = begins ? Phase::collective : Phase::computing; };
  buckets_.emplace(communicator, types, kBucketBytes, on_wait);
}

Learner::Local Learner::forward_backward(const Tensor& x, const Tensor& target) {
  double scale = 1.0 / static_cast<double>(config_.batch_size * dataset_.target_elements());
  Tensor loss = cross_entropy((*model_)(x), target, Reduction::sum) * scale;
  std::vector<Tensor> p;
  for (auto& named : parameters_) p.push_back(*named.parameter);
  return {loss, grad(loss, p)};
}

// Shards are contiguous parts of the batch; their sums are taken in one binary tree, of which this rank's part is a
// whole subtree and the reduction over ranks is the top. So the number of ranks does not change a bit.
Learner::Local Learner::local_batch(const data::Batch& batch) {
  auto samples = static_cast<int64_t>(batch.indices.size()), rows = samples / shards_;
  Tensor x = input_tensor(dataset_, batch.inputs, samples), target = target_tensor(dataset_, batch.targets, samples);
  std::vector<Local> tree;
  int64_t targets = rows * dataset_.target_elements();
  for (int s = 0; s < shards_; ++s)
    tree.push_back(
        forward_backward(slice(x, 0, s * rows, (s + 1) * rows), slice(target, 0, s * targets, (s + 1) * targets)));
  while (tree.size() > 1) {
    std::vector<Local> above;
    for (size_t i = 0; i + 1 < tree.size(); i += 2) {
      Local sum = std::move(tree[i]);
      sum.loss = sum.loss + tree[i + 1].loss;
      for (size_t k = 0; k < sum.grads.size(); ++k) sum.grads[k] = sum.grads[k] + tree[i + 1].grads[k];
      above.push_back(std::move(sum));
    }
    tree = std::move(above);
  }
  return std::move(tree[0]);
}

StepResult Learner::step(const data::Batch& batch, double lr, bool stop) {
  Tensor loss, stopping = Tensor::from<float>({stop ? 1.0f : 0.0f}, {});
  {
    Local local = local_batch(batch);
    std::vector<Tensor> grads = std::move(local.grads);
    loss = local.loss;
    local = {};
    if (buckets_) {
      std::vector<Tensor> all{loss, stopping};
      all.insert(all.end(), grads.rbegin(), grads.rend());
      grads.clear();
      loss = stopping = {};
      all = buckets_->all_reduce(std::move(all));
      loss = all[0] * 1.0, stopping = all[1] * 1.0;
      grads.assign(all.rbegin(), all.rend() - 2);
    }
    optimizer_->step(grads, lr);
  }
  std::vector<Tensor> results = optimizer_->values();
  results.push_back(loss);
  results.push_back(stopping);
  eval(results);
  optimizer_->settle();
  return {loss.item<float>(), stopping.item<float>() > 0};
}

Tensor Learner::logits(const Tensor& x) {
  NoGrad no_grad;
  return (*model_)(x);
}

std::vector<std::pair<std::string, Tensor*>> Learner::named_state() {
  std::vector<std::pair<std::string, Tensor*>> out;
  for (auto& p : parameters_) out.emplace_back("model." + p.name, p.parameter);
  for (auto& s : optimizer_->states()) out.emplace_back("optimizer." + s.name, s.tensor);
  return out;
}

std::vector<io::TensorView> Learner::state() {
  std::vector<io::TensorView> out;
  for (auto& [name, t] : named_state())
    out.push_back({name, t->dtype(), {t->shape().begin(), t->shape().end()}, t->data()});
  return out;
}

void Learner::restore(const io::Checkpoint& checkpoint) {
  for (auto& [name, t] : named_state()) {
    const io::TensorView& v = checkpoint.tensor(name);
    Shape shape{std::span<const int64_t>(v.shape)};
    if (v.dtype != t->dtype() || !(shape == t->shape()))
      fail("checkpoint", checkpoint.folder(), ": ", name, " is ", Type{v.dtype, shape}, ", the model has ", t->type());
    auto storage = make_ref<Storage>(t->device(), v.bytes());
    backend(t->device()).from_host(storage->data(), v.data, v.bytes());
    *t = Tensor::wrap(std::move(storage), 0, v.dtype, shape);
  }
  optimizer_->settle();
  optimizer_->set_steps(checkpoint.state().optimizer_step);
}

}  // namespace ds::train

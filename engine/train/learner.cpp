#include "engine/autograd/grad.h"
#include "engine/train/run.h"

namespace ds::train {
namespace {

models::ModelSpec spec_of(const TrainConfig& c, const data::Dataset& d) {
  models::ModelSpec s;
  s.family = c.model.family;
  s.hidden = c.model.hidden;
  s.channels = c.model.channels;
  s.depth = c.model.depth;
  s.layers = c.model.layers, s.heads = c.model.heads, s.width = c.model.width, s.context = c.model.context;
  s.input_shape.assign(d.input_shape().begin(), d.input_shape().end());
  s.classes = d.classes();
  return s;
}

std::vector<Tensor> wrap(const void* data, const std::vector<data::Column>& columns, int64_t samples) {
  std::vector<size_t> offsets = data::offsets_of(columns, static_cast<size_t>(samples));
  std::vector<Tensor> out;
  for (size_t k = 0; k < columns.size(); ++k) {
    Shape shape{samples};
    for (int64_t d : columns[k].shape) shape.push_back(d);
    size_t bytes = static_cast<size_t>(shape.numel()) * size_of(columns[k].dtype);
    char* at = static_cast<char*>(const_cast<void*>(data)) + offsets[k];
    out.push_back(Tensor::wrap(make_ref<Storage>(Device{}, at, bytes, nullptr), 0, columns[k].dtype, shape));
  }
  return out;
}

std::vector<Type> types_of(const std::vector<data::Column>& columns) {
  std::vector<Type> out;
  for (const data::Column& c : columns) out.push_back({c.dtype, Shape{std::span<const int64_t>(c.shape)}});
  return out;
}

std::vector<Tensor> rows_of(const std::vector<Tensor>& columns, int64_t begin, int64_t end) {
  std::vector<Tensor> out;
  for (const Tensor& t : columns) out.push_back(slice(t, 0, begin, end));
  return out;
}

// The loss and the wish to stop travel beside the gradients, before the statistics.
constexpr size_t kScalars = 2;

// Statistics are averaged over the shards; whole numbers, as of batches seen, come out the same in each.
bool is_averaged(DType t) { return is_floating(t); }
DType wide(DType t) { return size_of(t) == 2 ? DType::f32 : t; }  // what they are summed in

std::unique_ptr<parallel::DataParallel> make_parallel(bool sharded, std::vector<nn::NamedParameter> parameters,
                                                      std::vector<int> groups,
                                                      const std::vector<nn::NamedParameter>& changing,
                                                      comm::Communicator& communicator, TrainStatus& status) {
  parallel::DataParallelOptions o;
  o.parameters = std::move(parameters);
  o.groups = std::move(groups);
  o.extras.assign(kScalars, Type{DType::f32, {}});
  for (auto& b : changing)
    if (Type t = b.parameter->type(); is_averaged(t.dtype)) o.extras.push_back({wide(t.dtype), t.shape});
  o.on_wait = [&status](bool begins) { status.phase = begins ? Phase::collective : Phase::computing; };
  return sharded ? parallel::zero1(communicator, std::move(o)) : parallel::replicated(communicator, std::move(o));
}

using OfGraph = std::optional<models::GraphOptimizer>;

std::vector<int> updates_of(const OfGraph& traced, const std::vector<nn::NamedParameter>& parameters) {
  return traced ? models::updates_of(*traced, parameters) : std::vector<int>();
}

// In forward's order; where a traced optimizer has several updates, within each: their shards are then few.
std::vector<nn::NamedParameter> parameters_of(models::Model& model, const OfGraph& traced) {
  std::vector<nn::NamedParameter> all = model.named_parameters(), out;
  if (!traced) return all;
  std::vector<int> updates = updates_of(traced, all);
  for (int u = 0; u < static_cast<int>(traced->updates.size()); ++u)
    for (size_t i = 0; i < all.size(); ++i)
      if (updates[i] == u) out.push_back(all[i]);
  return out;
}

std::vector<nn::NamedParameter> buffers_of(models::Model& model, bool only_changing) {
  std::vector<nn::NamedParameter> out;
  for (auto& b : model.buffers())
    if (b.changes || !only_changing) out.push_back({b.name, b.tensor});
  return out;
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

std::optional<models::GraphOptimizer> traced_optimizer(const TrainConfig& c, const Traced& graph) {
  if (c.optimizer.name != "graph") return {};
  if (!graph || !graph->optimizer)
    throw UserError("train.optimizer.name: graph is the optimizer that a traced model's file holds, and " +
                    (graph ? c.model.graph + " holds none" : "there is no model.graph"));
  return graph->optimizer;
}

std::unique_ptr<optim::Optimizer> build_optimizer(const TrainConfig& config, const OfGraph& traced,
                                                  std::vector<nn::NamedParameter> p, std::vector<int> updates) {
  const OptimizerConfig& c = config.optimizer;
  if (traced) return models::graph_optimizer(std::move(p), *traced, std::move(updates), config.seed);
  if (c.name == "sgd") return optim::sgd(std::move(p), {c.momentum, c.weight_decay});
  if (c.name == "adamw") return optim::adamw(std::move(p), {c.beta1, c.beta2, c.eps, c.weight_decay});
  throw UserError("train.optimizer.name: \"" + c.name + "\" is none of sgd, adamw, graph");
}

std::unique_ptr<models::Model> build_model(const TrainConfig& c, Traced graph, const data::Dataset& d, Device device) {
  if (!graph) return models::make_model(spec_of(c, d), c.seed, device);
  return models::make_graph_model(std::move(*graph), types_of(d.inputs()), types_of(d.targets()));
}

models::Samples samples_of(const data::Dataset& d, const void* inputs, const void* targets, int64_t samples) {
  return {wrap(inputs, d.inputs(), samples), wrap(targets, d.targets(), samples)};
}

Learner::Learner(const TrainConfig& config, std::optional<models::GraphFile> graph, const data::Dataset& dataset,
                 comm::Communicator& communicator, TrainStatus& status)
    : config_(config),
      dataset_(dataset),
      shards_(local_shards(config)),
      traced_(traced_optimizer(config, graph)),
      model_(build_model(config, std::move(graph), dataset)),
      parameters_(parameters_of(*model_, traced_)),
      buffers_(buffers_of(*model_, false)),
      changing_(buffers_of(*model_, true)),
      sharded_(communicator.size() > 1 && config.zero >= 1 && (!traced_ || traced_->elementwise)),
      parallel_(
          make_parallel(sharded_, parameters_, updates_of(traced_, parameters_), changing_, communicator, status)),
      optimizer_(build_optimizer(config, traced_, parallel_->owned(), parallel_->groups())) {
  if (parameters_.empty()) fail("model", "nothing in it is trained");
  eval(optimizer_->values());
  parallel_->settle();
}

std::string Learner::unshared() const {
  bool wanted = config_.ranks > 1 && config_.zero >= 1;
  return wanted && !sharded_ ? traced_->name : "";
}

Learner::Local Learner::forward_backward(const models::Samples& samples, const models::Draw& draw) {
  models::Forward f = model_->train(samples, config_.batch_size, draw);
  for (Tensor& b : f.buffers) b = is_averaged(b.dtype()) ? cast(b, wide(b.dtype())) : b;
  std::vector<Tensor> p;
  for (auto& named : parameters_) p.push_back(*named.parameter);
  std::vector<Tensor> grads = grad(f.loss, p);
  return {std::move(f.loss), std::move(grads), std::move(f.buffers)};
}

// Shards are contiguous parts of the batch; their sums are taken in one binary tree, of which this rank's part is a
// whole subtree and the reduction over ranks is the top. So the number of ranks does not change a bit.
Learner::Local Learner::local_batch(const data::Batch& batch) {
  auto samples = static_cast<int64_t>(batch.indices.size()), rows = samples / shards_;
  const models::Samples all = samples_of(dataset_, batch.inputs, batch.targets, samples);
  std::vector<Local> tree;
  for (int64_t s = 0; s < shards_; ++s) {
    const int64_t begin = s * rows, end = begin + rows;
    tree.push_back(forward_backward({rows_of(all.inputs, begin, end), rows_of(all.targets, begin, end)},
                                    {config_.seed, batch.step, int64_t{config_.rank} * shards_ + s}));
  }
  while (tree.size() > 1) {
    std::vector<Local> above;
    for (size_t i = 0; i + 1 < tree.size(); i += 2) {
      Local sum = std::move(tree[i]);
      sum.loss = sum.loss + tree[i + 1].loss;
      for (size_t k = 0; k < sum.grads.size(); ++k) sum.grads[k] = sum.grads[k] + tree[i + 1].grads[k];
      for (size_t k = 0; k < sum.buffers.size(); ++k)
        if (is_averaged(sum.buffers[k].dtype())) sum.buffers[k] = sum.buffers[k] + tree[i + 1].buffers[k];
      above.push_back(std::move(sum));
    }
    tree = std::move(above);
  }
  return std::move(tree[0]);
}

StepResult Learner::step(const data::Batch& batch, double lr, bool stop) {
  held_.clear();
  std::vector<Tensor> results, buffers;
  {
    Local local = local_batch(batch);
    buffers = std::move(local.buffers);
    std::vector<Tensor> extras{std::move(local.loss), Tensor::from<float>({stop ? 1.0f : 0.0f}, {})};
    for (Tensor& b : buffers)
      if (is_averaged(b.dtype())) extras.push_back(std::move(b));
    auto sums = parallel_->reduce(std::move(local.grads), std::move(extras));
    optimizer_->step(sums.grads, lr);
    results.assign(sums.extras.begin(), sums.extras.begin() + kScalars);
    average(std::span(sums.extras).subspan(kScalars), buffers);
  }
  for (const Tensor& t : parallel_->gather()) results.push_back(t);
  for (const Tensor& t : optimizer_->values()) results.push_back(t);
  for (const Tensor& t : buffers) results.push_back(t);
  eval(results);
  parallel_->settle();
  for (size_t i = 0; i < buffers.size(); ++i) *changing_[i].parameter = buffers[i].detach();
  return {results[0].item<float>(), results[1].item<float>() > 0};
}

// The sums over all shards become new values, in the places of `buffers` that were taken for them.
void Learner::average(std::span<const Tensor> sums, std::vector<Tensor>& buffers) const {
  NoGrad no_grad;
  auto shards = static_cast<double>(int64_t{shards_} * config_.ranks);
  size_t next = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    DType t = changing_[i].parameter->dtype();
    if (!is_averaged(t)) continue;
    const Tensor& sum = sums[next++];
    buffers[i] = cast(shards == 1 ? sum : sum * (1 / shards), t);
  }
}

std::vector<io::TensorView> Learner::state() {
  std::vector<std::string> names;
  held_.clear();
  for (auto* part : {&parameters_, &buffers_})
    for (auto& p : *part) names.push_back("model." + p.name), held_.push_back(*p.parameter);
  for (auto& s : optimizer_->states()) {
    for (auto& p : with_state(s)) names.push_back("optimizer." + s.name + "." + p.name);
    for (Tensor& t : parallel_->whole(*s.tensors)) held_.push_back(std::move(t));
  }
  std::vector<io::TensorView> out;
  if (held_.size() != names.size()) return out;  // another rank has them
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor& t = held_[i];
    out.push_back({names[i], t.dtype(), {t.shape().begin(), t.shape().end()}, t.data()});
  }
  return out;
}

// Shards hold all states of all parameters.
std::vector<nn::NamedParameter> Learner::with_state(const optim::States& states) const {
  if (sharded_ || states.of.empty()) return parameters_;
  std::vector<nn::NamedParameter> out;
  for (size_t i : states.of) out.push_back(parameters_[i]);
  return out;
}

// One tensor for each, over the checkpoint's own memory, of the types of `like`, else of `of`.
std::vector<Tensor> Learner::read(const io::Checkpoint& checkpoint, const std::string& prefix,
                                  const std::vector<nn::NamedParameter>& of, const std::vector<Tensor>& like) const {
  std::vector<Tensor> out;
  for (auto& p : of) {
    const io::TensorView& v = checkpoint.tensor(prefix + p.name);
    Shape shape{std::span<const int64_t>(v.shape)};
    if (Type type = like.empty() ? p.parameter->type() : like[out.size()].type();
        v.dtype != type.dtype || !(shape == type.shape))
      fail("checkpoint", checkpoint.folder(), ": ", v.name, " is ", Type{v.dtype, shape}, ", the model has ", type);
    auto storage = make_ref<Storage>(Device{}, const_cast<void*>(v.data), v.bytes(), nullptr);
    out.push_back(Tensor::wrap(std::move(storage), 0, v.dtype, shape));
  }
  return out;
}

void Learner::restore(const io::Checkpoint& checkpoint) {
  std::vector<Tensor> parameters = read(checkpoint, "model.", parameters_),
                      buffers = read(checkpoint, "model.", buffers_);
  for (auto& s : optimizer_->states())
    *s.tensors = parallel_->own(
        read(checkpoint, "optimizer." + s.name + ".", with_state(s), sharded_ ? std::vector<Tensor>() : *s.tensors));
  parallel_->load(parameters);
  for (size_t i = 0; i < buffers.size(); ++i) {  // out of the checkpoint's memory
    auto own = make_ref<Storage>(Device{}, static_cast<size_t>(buffers[i].type().bytes()));
    backend(Device{}).from_host(own->data(), buffers[i].data(), own->bytes());
    *buffers_[i].parameter = Tensor::wrap(std::move(own), 0, buffers[i].dtype(), buffers[i].shape());
  }
  optimizer_->set_steps(checkpoint.state().optimizer_step);
}

}  // namespace ds::train

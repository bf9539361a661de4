#include "engine/train/profile.h"

#include <algorithm>
#include <map>

#include "engine/autograd/grad.h"
#include "engine/lazy/plan.h"
#include "engine/train/run.h"

namespace ds::train {
namespace {

constexpr int64_t kSmall = 16, kLarge = 32;  // batches that are traced

bool is_matmul(OpKind k) { return k == OpKind::MatmulOp; }
bool is_conv(OpKind k) {
  return k == OpKind::Conv2dOp || k == OpKind::Conv2dGradInput || k == OpKind::Conv2dGradWeight;
}
bool is_view(const Node& n) { return n.op->info().category == Category::view; }

Types types_in(const Node& n) {
  Types types;
  for (const Tensor& t : n.inputs) types.push_back(t.type());
  return types;
}
Types types_out(const Node& n) {
  Types types;
  for (const Node::Output& o : n.outputs) types.push_back(o.type);
  return types;
}
double bytes_out(const Node& n) {
  double bytes = 0;
  for (const Node::Output& o : n.outputs) bytes += static_cast<double>(o.type.bytes());
  return bytes;
}
double flops_of(const Node& n) {
  const OpKind k = n.op->kind();
  return is_matmul(k) || is_conv(k) ? n.op->cost(types_in(n), types_out(n)).flops : 0;
}

// A fused program reads its inputs and writes its outputs; what lies between stays in the cache.
double program_bytes(const Trace& trace, const Step& step) {
  double bytes = 0;
  for (const Slot& s : step.inputs) {
    const Node& n = *(s.leaf ? trace.leaves[s.index] : trace.nodes[s.index]);
    bytes += static_cast<double>(n.outputs[s.output].type.bytes());
  }
  for (uint32_t out : step.outputs) bytes += bytes_out(*trace.nodes[out]);
  return bytes;
}

Work work_of(const Trace& trace, const Plan& plan) {
  Work work;
  for (const Step& step : plan.steps) {
    const Node& n = *trace.nodes[step.main];
    if (step.outputs.empty() && is_view(n)) continue;
    ++work.kernels;
    if (!step.outputs.empty()) {
      work.bytes += program_bytes(trace, step);
    } else if (is_matmul(n.op->kind())) {
      work.matmul_flops += flops_of(n);
    } else if (is_conv(n.op->kind())) {
      work.conv_flops += flops_of(n);
    } else {
      work.bytes += n.op->cost(types_in(n), types_out(n)).bytes;
    }
  }
  return work;
}

Work work_of(std::span<const Tensor> roots) {
  Trace trace = make_trace(roots);
  rewrite(trace, roots);
  return work_of(trace, *make_plan(trace));
}

Work operator-(const Work& a, const Work& b) {
  return {a.matmul_flops - b.matmul_flops, a.conv_flops - b.conv_flops, a.bytes - b.bytes, a.kernels - b.kernels};
}
Work operator*(const Work& a, double s) { return {a.matmul_flops * s, a.conv_flops * s, a.bytes * s, a.kernels * s}; }
Work not_negative(const Work& w) {
  return {std::max(0.0, w.matmul_flops), std::max(0.0, w.conv_flops), std::max(0.0, w.bytes), std::max(0.0, w.kernels)};
}
double flops(const Work& w) { return w.matmul_flops + w.conv_flops; }

// A value that nobody looks at: it has a type, and no memory.
Tensor hollow(DType t, const Shape& shape, Device device) {
  const size_t bytes = static_cast<size_t>(shape.numel()) * size_of(t);
  return Tensor::wrap(make_ref<Storage>(device, nullptr, bytes, nullptr), 0, t, shape);
}
std::vector<Tensor> hollow_batch(const std::vector<data::Column>& columns, int64_t samples, Device device) {
  std::vector<Tensor> out;
  for (const data::Column& c : columns) {
    Shape shape{samples};
    for (int64_t d : c.shape) shape.push_back(d);
    out.push_back(hollow(c.dtype, shape, device));
  }
  return out;
}

std::string module_of(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == parameter.npos ? parameter : parameter.substr(0, dot);
}

// One model, traced at one batch.
class Sketch {
 public:
  Sketch(const TrainConfig& c, const data::Dataset& data, int64_t batch)
      : config_(c), device_{c.model.graph.empty() ? DeviceKind::null : DeviceKind::cpu}, batch_(batch) {
    Traced graph = read_traced(c);
    traced_ = traced_optimizer(c, graph);
    model_ = build_model(c, std::move(graph), data, device_);
    parameters_ = model_->named_parameters();
    if (parameters_.empty()) fail("model", "nothing in it is trained");
    for (auto& p : parameters_) p.parameter->eval();
    loss_ = model_
                ->train({hollow_batch(data.inputs(), batch, device_), hollow_batch(data.targets(), batch, device_)},
                        batch, {c.seed, 0, 0})
                .loss;
  }

  // Forward alone, its layers, and forward with backward.
  Work forward() { return work_of({&loss_, 1}); }
  std::vector<LayerProfile> layers();
  Work backward() { return work_of(with_gradients()); }
  Work update();
  const std::vector<nn::NamedParameter>& parameters() const { return parameters_; }

 private:
  std::vector<Tensor> with_gradients() {
    std::vector<Tensor> p;
    for (auto& named : parameters_) p.push_back(*named.parameter);
    std::vector<Tensor> roots = grad(loss_, p);
    roots.push_back(loss_);
    return roots;
  }

  const TrainConfig& config_;
  const Device device_;
  const int64_t batch_;
  std::optional<models::GraphOptimizer> traced_;
  std::unique_ptr<models::Model> model_;
  std::vector<nn::NamedParameter> parameters_;
  Tensor loss_;
};

Work Sketch::update() {
  const auto hollow_like = [this](const Tensor& t) { return hollow(t.dtype(), t.shape(), device_); };
  std::vector<int> updates = traced_ ? models::updates_of(*traced_, parameters_) : std::vector<int>();
  auto optimizer = build_optimizer(config_, traced_, parameters_, std::move(updates));
  for (auto& s : optimizer->states())
    for (Tensor& t : *s.tensors) t = hollow_like(t);
  std::vector<Tensor> grads;
  for (auto& p : parameters_) grads.push_back(hollow_like(*p.parameter));
  optimizer->step(grads, 1e-3);
  return work_of(optimizer->values());
}

// A node that reads a parameter begins its layer; what follows belongs to it until the next one.
std::vector<LayerProfile> Sketch::layers() {
  std::vector<LayerProfile> layers;
  std::map<std::string, size_t> index;
  std::map<const Node*, std::string> owner;  // of parameters, and of views of them
  for (auto& p : parameters_) {
    const std::string name = module_of(p.name);
    if (auto [at, fresh] = index.try_emplace(name, layers.size()); fresh) layers.push_back({name});
    layers[index[name]].parameters += p.parameter->numel();
    owner[p.parameter->node()] = name;
  }
  LayerProfile* now = &layers.front();
  for (const Node* n : make_trace({&loss_, 1}).nodes) {
    std::string named;
    for (const Tensor& t : n->inputs)
      if (auto at = owner.find(t.node()); at != owner.end()) named = at->second;
    if (is_view(*n)) {
      if (!named.empty()) owner[n] = named;
      continue;
    }
    if (!named.empty()) now = &layers[index[named]];
    now->forward_flops += flops_of(*n) / static_cast<double>(batch_);
    now->activation_bytes += bytes_out(*n) / static_cast<double>(batch_);
  }
  return layers;
}

ModelProfile line_through(const Work& small, const Work& large) {
  ModelProfile profile;
  profile.sample = not_negative((large - small) * (1.0 / (kLarge - kSmall)));
  profile.step = not_negative(small - profile.sample * kSmall);
  return profile;
}

ModelProfile trace(const TrainConfig& config) {
  const auto data = open_data(config, read_traced(config), data::Split::train);
  Sketch small(config, *data, kSmall), large(config, *data, kLarge);
  const double forward = flops(large.forward()) / kLarge;
  std::vector<LayerProfile> layers = large.layers();
  ModelProfile profile = line_through(small.backward(), large.backward());
  profile.update = large.update();
  profile.layers = std::move(layers);
  profile.forward_flops = forward;
  profile.backward_flops = flops(profile.sample) + flops(profile.step) / kLarge - forward;
  for (const LayerProfile& l : profile.layers) profile.activation_bytes += l.activation_bytes;
  for (auto& p : large.parameters()) {
    profile.parameters += p.parameter->numel();
    profile.gradient_bytes += static_cast<double>(p.parameter->type().bytes());
  }
  return profile;
}

}  // namespace

ModelProfile profile(const TrainConfig& config) {
  try {
    return trace(config);
  } catch (const Error& e) {
    throw UserError(e.what());
  }
}

}  // namespace ds::train

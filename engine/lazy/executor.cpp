#include "engine/lazy/executor.h"

#include <atomic>

#include "engine/lazy/plan_cache.h"
#include "engine/ops/view.h"

namespace ds {
namespace {

thread_local std::function<void()> progress_hook;
std::atomic<uint64_t> evaluations{0}, singles{0}, nodes_run{0}, steps_run{0};
void count(std::atomic<uint64_t>& what, uint64_t n = 1) { what.fetch_add(n, std::memory_order_relaxed); }

// One op's view of the node it runs for. With an epilogue the inputs are one node's and the output is another's.
class NodeExecution final : public Execution {
 public:
  NodeExecution(Node& in, Node& out, Backend& backend)
      : in_(in), out_(out), backend_(backend), values_(out.outputs.size()) {}

  Backend& backend() override { return backend_; }
  Device output_device() const override { return out_.device; }
  const Type& input_type(int i) const override { return in_.inputs[i].type(); }
  const Type& output_type(int i) const override { return out_.outputs[i].type; }
  const Value& input(int i) override { return in_.inputs[i].node()->outputs[in_.inputs[i].output()].value; }
  const void* contiguous(int i) override {
    const Value& v = input(i);
    const Type& t = input_type(i);
    if (v.contiguous(t.shape)) return v.data(t.dtype);
    packed_.push_back(make_contiguous(v, t, in_.device));
    return packed_.back().data(t.dtype);
  }
  void* output(int i) override {
    const Type& t = output_type(i);
    Value& placed = out_.outputs[i].value;
    values_[i] = placed ? placed : Value{make_ref<Storage>(out_.device, t.bytes()), 0, contiguous_strides(t.shape)};
    return values_[i].data(t.dtype);
  }
  void* output_over(int i, int k) override {
    const Tensor& t = in_.inputs[k];
    const Value& v = input(k);
    bool last = !in_.requires_grad && t.type() == output_type(i) && v.contiguous(t.shape()) && !v.storage->foreign() &&
                v.storage->use_count() == 1 && held_here_only(k);
    if (!last || out_.outputs[i].value) return output(i);
    values_[i] = v;
    return values_[i].data(t.dtype());
  }
  void alias(int i, Value value) override { values_[i] = std::move(value); }
  void pend(std::shared_ptr<Pending> p) override { out_.pending = std::move(p); }

  void publish() {
    for (size_t i = 0; i < values_.size(); ++i) out_.outputs[i].value = std::move(values_[i]);
    out_.evaluated = true;
  }

 private:
  // Whether nobody but this node holds input k's: its other inputs may be other outputs of the same node.
  bool held_here_only(int k) const {
    const Tensor& t = in_.inputs[k];
    uint32_t edges = 0, same = 0;
    for (const Tensor& input : in_.inputs) {
      edges += input.node() == t.node();
      same += input.node() == t.node() && input.output() == t.output();
    }
    return same == 1 && t.node()->use_count() == edges;
  }

  Node &in_, &out_;
  Backend& backend_;
  SmallVector<Value, 1> values_, packed_;
};

class Runner {
 public:
  Runner(const Trace& trace, const Plan& plan) : trace_(trace), plan_(plan) {}

  void run() {
    for (const Placement& p : plan_.placements) {
      Node::Output& output = trace_.nodes[p.node]->outputs[p.output];
      output.value = trace_.nodes[p.communication]->op->place(p.input);
      output.value.strides = contiguous_strides(output.type.shape);
    }
    for (const Step& step : plan_.steps) {
      if (progress_hook) progress_hook();
      wait_inputs(step);
      run_step(step);
    }
    count(nodes_run, trace_.nodes.size());
    count(steps_run, plan_.steps.size());
  }

 private:
  Node& leaf_or_node(const Slot& s) const { return s.leaf ? *trace_.leaves[s.index] : *trace_.nodes[s.index]; }
  const Value& value(const Slot& s) const { return leaf_or_node(s).outputs[s.output].value; }

  void wait_inputs(const Step& step) {
    for (uint32_t n : step.nodes)
      for (const Tensor& input : trace_.nodes[n]->inputs)
        if (auto& pending = input.node()->pending) {
          pending->wait();
          pending.reset();
        }
  }

  void run_step(const Step& step) { step.outputs.empty() ? run_op(step) : run_program(step); }

  void run_op(const Step& step) {
    Node& main = *trace_.nodes[step.main];
    Node& result = *trace_.nodes[step.result];
    NodeExecution e(main, result, backend(main.device));
    if (step.main == step.result) {
      main.op->eval(e);
    } else {
      Value packed;
      const void* bias = nullptr;
      if (step.has_bias) {
        const Node& owner = leaf_or_node(step.bias);
        const Type& t = owner.outputs[step.bias.output].type;
        packed = value(step.bias);
        if (!packed.contiguous(t.shape)) packed = make_contiguous(packed, t, owner.device);
        bias = packed.data(t.dtype);
      }
      if (!main.op->eval_with_epilogue(e, bias, step.relu)) {
        for (const Step& part : step.parts) run_step(part);
        return;
      }
    }
    e.publish();
    result.detach();
  }

  void run_program(const Step& step) {
    Node& last = *trace_.nodes[step.main];
    const Shape& shape = last.outputs[0].type.shape;
    SmallVector<Value, 3> outputs;
    SmallVector<void*, 3> addresses;
    SmallVector<uint8_t, 16> donated(step.inputs.size());
    for (uint32_t n : step.outputs) {
      Node& node = *trace_.nodes[n];
      const Type& t = node.outputs[0].type;
      outputs.push_back(node.outputs[0].value ? node.outputs[0].value : output_memory(step, node, donated));
      addresses.push_back(outputs.back().data(t.dtype));
    }
    SmallVector<kernels::EwInput, 3> inputs;
    for (size_t i = 0; i < step.inputs.size(); ++i)
      inputs.push_back({value(step.inputs[i]).data(step.code.inputs[i]), {1}});
    kernels::EwSpace space = space_of(step, shape, inputs);
    Backend& b = backend(last.device);
    b.kernels().elementwise(b.context(), step.code, space, inputs.data(), addresses.data());
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      Node& node = *trace_.nodes[step.outputs[i]];
      node.outputs[0].value = std::move(outputs[i]);
      node.evaluated = true;
    }
    for (size_t i = step.outputs.size(); i-- > 0;) trace_.nodes[step.outputs[i]]->detach();
  }

  // The space of a program and where its inputs lie in it. Outputs are row-major: where inputs are, too, it is a line.
  kernels::EwSpace space_of(const Step& step, const Shape& shape, std::span<kernels::EwInput> inputs) const {
    bool line = true;
    for (const Slot& s : step.inputs) line = line && value(s).contiguous(shape);
    int64_t n = shape.numel();
    if (line) return {n != 1, {n}};
    SmallVector<Shape, 6> strides;
    for (const Slot& s : step.inputs) strides.push_back(value(s).strides);
    strides.push_back(contiguous_strides(shape));
    kernels::EwSpace space = collapse(shape, strides);
    for (size_t i = 0; i < inputs.size(); ++i)
      std::copy(strides[i].begin(), strides[i].end(), inputs[i].stride.begin());
    return space;
  }

  // An input's own memory when this program is the last to see it, else fresh memory.
  Value output_memory(const Step& step, const Node& node, std::span<uint8_t> donated) {
    const Type& t = node.outputs[0].type;
    for (size_t i = 0; i < step.inputs.size() && !node.requires_grad; ++i) {
      if (donated[i] || size_of(step.code.inputs[i]) != size_of(t.dtype)) continue;
      const Node& owner = leaf_or_node(step.inputs[i]);
      const Value& v = value(step.inputs[i]);
      if (owner.outputs[step.inputs[i].output].type.shape != t.shape || !v.contiguous(t.shape)) continue;
      if (v.storage->foreign() || v.storage->use_count() != 1 || owner.use_count() != edges(step, &owner)) continue;
      donated[i] = 1;
      return {v.storage, v.offset, contiguous_strides(t.shape)};
    }
    return {make_ref<Storage>(node.device, t.bytes()), 0, contiguous_strides(t.shape)};
  }

  uint32_t edges(const Step& step, const Node* owner) const {
    uint32_t n = 0;
    for (uint32_t member : step.nodes) {
      if (trace_.nodes[member]->requires_grad) return UINT32_MAX;  // its inputs stay: autograd may come back
      for (const Tensor& input : trace_.nodes[member]->inputs) n += input.node() == owner;
    }
    return n;
  }

  const Trace& trace_;
  const Plan& plan_;
};

void wait_pending(std::span<const Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (auto& pending = t.node()->pending) {
      pending->wait();
      pending.reset();
    }
}

void run(Trace& trace, std::span<const Tensor> roots) {
  count(evaluations);
  const Plan* one = trace.nodes.size() == 1 ? plan_of_one(trace) : nullptr;
  if (one) {
    count(singles);
    return Runner(trace, *one).run();
  }
  rewrite(trace, roots);
  hash_structure(trace);
  std::shared_ptr<const Plan> plan = plan_for(trace);
  Runner(trace, *plan).run();
}

}  // namespace

Value make_contiguous(const Value& value, const Type& type, Device device) {
  Value out{make_ref<Storage>(device, type.bytes()), 0, contiguous_strides(type.shape)};
  if (type.shape.numel() == 0) return out;
  Shape strides[] = {value.strides, out.strides};
  kernels::EwSpace space = collapse(type.shape, strides);
  kernels::EwInput in{value.data(type.dtype), {}};
  std::copy(strides[0].begin(), strides[0].end(), in.stride.begin());
  Backend& b = backend(device);
  b.kernels().copy(b.context(), type.dtype, out.data(type.dtype), space, in);
  return out;
}

namespace {

thread_local std::vector<Tensor>* watched = nullptr;

void check_watched(const Trace& trace) {
  for (const Tensor& t : *watched)
    if (std::find(trace.nodes.begin(), trace.nodes.end(), t.node()) != trace.nodes.end())
      fail("trace",
           "a value that depends on the inputs, parameters or buffers is looked at (item(), bool(), numpy(), "
           "print()): a graph cannot do that");
}

}  // namespace

void watch(std::vector<Tensor> tensors) {
  delete std::exchange(watched, tensors.empty() ? nullptr : new std::vector<Tensor>(std::move(tensors)));
}

void eval(std::span<const Tensor> tensors) {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (!tensors[i]) fail("eval", "tensor ", i, " is an empty handle");
  Trace trace = make_trace(tensors);
  if (!trace.nodes.empty()) {
    if (watched) check_watched(trace);
    run(trace, tensors);
  }
  wait_pending(tensors);
}

ExecutorStats executor_stats() { return {evaluations, singles, plans_built(), nodes_run, steps_run, cached_plans()}; }
void set_progress_hook(std::function<void()> hook) { progress_hook = std::move(hook); }

}  // namespace ds

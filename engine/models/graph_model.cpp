#include <algorithm>

#include "engine/autograd/custom.h"
#include "engine/models/graph_file.h"

namespace ds::models {
namespace {

// Whether every value of `from` has a nearest one of `to`: numbers stay numbers, and floats never become whole.
bool casts(DType from, DType to) {
  if (from == to) return true;
  if (is_complex(from)) return is_complex(to);
  if (is_floating(from)) return is_floating(to) || is_complex(to);
  return to != DType::boolean;
}

void check_fit(const std::string& what, const std::vector<Type>& data, const std::vector<Type>& model) {
  if (data.size() != model.size())
    fail("graph", "a sample of the data has ", data.size(), " ", what, "s, the model takes ", model.size());
  for (size_t i = 0; i < model.size(); ++i) {
    const std::string which = model.size() > 1 ? what + "s " + std::to_string(i) : what + "s";
    if (data[i].shape.numel() != model[i].shape.numel() || !casts(data[i].dtype, model[i].dtype))
      fail("graph", "the data's ", which, " are ", data[i], ", the model takes ", model[i]);
  }
}

// A batch of the data as the model takes it.
Tensor fit(const Tensor& x, const Type& sample) {
  std::vector<int64_t> shape{x.size(0)};
  shape.insert(shape.end(), sample.shape.begin(), sample.shape.end());
  return cast(reshape(x, shape), sample.dtype);
}

std::vector<Tensor> fit(const std::vector<Tensor>& batch, const std::vector<Type>& samples) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < batch.size(); ++i) out.push_back(fit(batch[i], samples[i]));
  return out;
}

class GraphModel final : public Model {
 public:
  GraphModel(GraphFile file, const std::vector<Type>& inputs, const std::vector<Type>& targets)
      : file_(std::move(file)) {
    check_fit("input", inputs, file_.inputs);
    check_fit("target", targets, file_.targets);
    values_.reserve(file_.tensors.size());
    for (GraphTensor& t : file_.tensors) {
      values_.push_back(std::move(t.value));  // nobody else may hold them: updates are in place
      by_name_[t.name] = values_.size() - 1;
      if (t.trained) register_parameter(t.name, values_.back());
      if (t.kept && !t.trained) add_buffer(t.name);
    }
  }

  Tensor forward(const Tensor& x) override {
    NoGrad no_grad;
    Samples samples{{x}, {}};
    for (const Type& t : file_.targets) {
      Shape shape{x.size(0)};
      for (int64_t d : t.shape) shape.push_back(d);
      samples.targets.push_back(zeros(shape, t.dtype));
    }
    if (file_.inputs.size() > 1) fail("graph", "the model takes ", file_.inputs.size(), " inputs, forward() has one");
    Replayed r = run(file_.eval, samples, {});
    if (file_.eval.outputs.empty()) fail("graph", "the file names no output of the model");
    return r.at(file_.eval.outputs[0]);
  }

  Forward train(const Samples& samples, int64_t batch, const Draw& draw) override {
    Replayed r = run(file_.train, samples, draw);
    Forward out{scalar_of(r.at(*file_.train.loss)), {}};
    const int64_t part = samples.inputs[0].size(0);
    if (part != batch) out.loss = out.loss * (static_cast<double>(part) / static_cast<double>(batch));
    for (const Place& place : updates_) out.buffers.push_back(stop_gradient(r.at(place)));
    return out;
  }

  Assessment assess(const Samples& samples, const Draw& draw) override {
    NoGrad no_grad;
    Replayed r = run(file_.eval, samples, draw);
    Assessment out{scalar_of(r.at(*file_.eval.loss)) * static_cast<double>(samples.targets[0].numel()), {}};
    if (file_.eval.correct) out.correct = r.at(*file_.eval.correct);
    return out;
  }

  std::vector<NamedBuffer> buffers() override { return buffers_; }

 private:
  void add_buffer(const std::string& name) {
    const auto& updates = file_.train.updates;
    auto it = std::find_if(updates.begin(), updates.end(), [&](auto& u) { return u.first == name; });
    buffers_.push_back({name, &values_.back(), it != updates.end()});
    if (it != updates.end()) updates_.push_back(it->second);
  }
  static Tensor scalar_of(const Tensor& loss) { return cast(reshape(loss, {}), DType::f32); }

  Replayed run(const Graph& graph, const Samples& samples, const Draw& draw) {
    Feed feed;
    feed.inputs = fit(samples.inputs, file_.inputs), feed.targets = fit(samples.targets, file_.targets);
    feed.tensor = [this](const std::string& name) { return values_[by_name_.at(name)]; };
    feed.draw = draw, feed.device = samples.inputs[0].device();
    return replay(graph, feed);
  }

  GraphFile file_;
  std::vector<Tensor> values_;  // of the file's tensors
  std::map<std::string, size_t> by_name_;
  std::vector<NamedBuffer> buffers_;  // kept, and not trained
  std::vector<Place> updates_;        // of those that change
};

}  // namespace

std::unique_ptr<Model> make_graph_model(GraphFile file, const std::vector<Type>& inputs,
                                        const std::vector<Type>& targets) {
  return std::make_unique<GraphModel>(std::move(file), inputs, targets);
}

}  // namespace ds::models

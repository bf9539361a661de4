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

void check_fit(const char* what, const Type& data, const Type& model) {
  if (data.shape.numel() != model.shape.numel() || !casts(data.dtype, model.dtype))
    fail("graph", "the data's ", what, "s are ", data, ", the model takes ", model);
}

// A batch of the data as the model takes it.
Tensor fit(const Tensor& x, const Type& sample) {
  std::vector<int64_t> shape{x.size(0)};
  shape.insert(shape.end(), sample.shape.begin(), sample.shape.end());
  return cast(reshape(x, shape), sample.dtype);
}

class GraphModel final : public Model {
 public:
  GraphModel(GraphFile file, const Type& input, const Type& target) : file_(std::move(file)) {
    check_fit("input", input, file_.input);
    check_fit("target", target, file_.target);
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
    Tensor input = fit(x, file_.input);
    Shape shape{x.size(0)};
    for (int64_t d : file_.target.shape) shape.push_back(d);
    Replayed r = run(file_.eval, input, zeros(shape, file_.target.dtype), {});
    if (file_.eval.outputs.empty()) fail("graph", "the file names no output of the model");
    return r.at(file_.eval.outputs[0]);
  }

  Forward train(const Tensor& x, const Tensor& target, int64_t batch, const Draw& draw) override {
    Replayed r = run(file_.train, fit(x, file_.input), fit(target, file_.target), draw);
    Forward out{scalar_of(r.at(*file_.train.loss)), {}};
    if (x.size(0) != batch) out.loss = out.loss * (static_cast<double>(x.size(0)) / static_cast<double>(batch));
    for (const Place& place : updates_) out.buffers.push_back(stop_gradient(r.at(place)));
    return out;
  }

  Assessment assess(const Tensor& x, const Tensor& target, const Draw& draw) override {
    NoGrad no_grad;
    Replayed r = run(file_.eval, fit(x, file_.input), fit(target, file_.target), draw);
    Assessment out{scalar_of(r.at(*file_.eval.loss)) * static_cast<double>(target.numel()), {}};
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

  Replayed run(const Graph& graph, const Tensor& input, const Tensor& target, const Draw& draw) {
    Feed feed{input, target, [this](const std::string& name) { return values_[by_name_.at(name)]; }, draw};
    feed.device = input.device();
    return replay(graph, feed);
  }

  GraphFile file_;
  std::vector<Tensor> values_;  // of the file's tensors
  std::map<std::string, size_t> by_name_;
  std::vector<NamedBuffer> buffers_;  // kept, and not trained
  std::vector<Place> updates_;        // of those that change
};

}  // namespace

std::unique_ptr<Model> make_graph_model(GraphFile file, const Type& input, const Type& target) {
  return std::make_unique<GraphModel>(std::move(file), input, target);
}

}  // namespace ds::models

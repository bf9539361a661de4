#include "engine/models/model.h"

#include "engine/nn/layers.h"

namespace ds::models {
namespace {

// The widths of as many layers as `depth` says: the first of the list, and its last one again and again.
std::vector<int64_t> to_depth(const char* where, std::vector<int64_t> widths, int64_t depth) {
  if (depth < 0) fail(where, "the depth must be at least 1, or 0 for the list's own, got ", depth);
  if (depth > 0 && widths.empty()) fail(where, "a depth of ", depth, " needs a width");
  const int64_t last = widths.empty() ? 0 : widths.back();
  if (depth > 0) widths.resize(static_cast<size_t>(depth), last);
  return widths;
}

class Mlp final : public Model {
 public:
  Mlp(const ModelSpec& spec, nn::Initializer& init) {
    int64_t in = 1;
    for (int64_t d : spec.input_shape) in *= d;
    std::vector<int64_t> widths = to_depth("mlp", spec.hidden, spec.depth);
    widths.push_back(spec.classes);
    for (int64_t out : widths) {
      if (out < 1) fail("mlp", "a width must be at least 1, got ", out);
      layers_.push_back(std::make_unique<nn::Linear>(in, out, init));
      register_module("layers." + std::to_string(layers_.size() - 1), *layers_.back());
      in = out;
    }
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = cast(flatten(x, 1), DType::f32);
    for (size_t i = 0; i < layers_.size(); ++i) y = i + 1 < layers_.size() ? relu((*layers_[i])(y)) : (*layers_[i])(y);
    return y;
  }

 private:
  std::vector<std::unique_ptr<nn::Linear>> layers_;
};

// Per entry of `channels`: 3x3 convolution, relu, 2x2 max pooling; then a hidden layer of 128 and the classes.
class Cnn final : public Model {
 public:
  static constexpr int64_t kHidden = 128;
  Cnn(const ModelSpec& spec, nn::Initializer& init) {
    if (spec.input_shape.size() != 3) fail("cnn", "samples must be images (channels,height,width)");
    int64_t in = spec.input_shape[0], h = spec.input_shape[1], w = spec.input_shape[2];
    const std::vector<int64_t> channels = to_depth("cnn", spec.channels, spec.depth);
    for (int64_t out : channels) {
      if (out < 1) fail("cnn", "channels must be at least 1, got ", out);
      convs_.push_back(std::make_unique<nn::Conv2d>(in, out, 3, init, Conv2dOptions{.pad_h = 1, .pad_w = 1}));
      register_module("convs." + std::to_string(convs_.size() - 1), *convs_.back());
      in = out, h /= 2, w /= 2;
    }
    if (h < 1 || w < 1) fail("cnn", channels.size(), " poolings leave nothing of the image; use fewer channels");
    hidden_ = std::make_unique<nn::Linear>(in * h * w, kHidden, init);
    classes_ = std::make_unique<nn::Linear>(kHidden, spec.classes, init);
    register_module("hidden", *hidden_);
    register_module("classes", *classes_);
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = cast(x, DType::f32);
    for (auto& conv : convs_) y = max_pool2d(relu((*conv)(y)));
    return (*classes_)(relu((*hidden_)(flatten(y, 1))));
  }

 private:
  std::vector<std::unique_ptr<nn::Conv2d>> convs_;
  std::unique_ptr<nn::Linear> hidden_, classes_;
};

class GptBlock final : public nn::Module {
 public:
  GptBlock(int64_t width, int64_t heads, nn::Initializer& init)
      : norm1_(width, init),
        attention_(width, heads, init),
        norm2_(width, init),
        up_(width, 4 * width, init),
        down_(4 * width, width, init) {
    register_module("norm1", norm1_);
    register_module("attention", attention_);
    register_module("norm2", norm2_);
    register_module("up", up_);
    register_module("down", down_);
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x + attention_(norm1_(x));
    return y + down_(gelu(up_(norm2_(y))));
  }

 private:
  nn::LayerNorm norm1_;
  nn::SelfAttention attention_;
  nn::LayerNorm norm2_;
  nn::Linear up_, down_;
};

// Pre-norm transformer with learned positions; the head shares the token embedding's weight, as GPT-2 does.
class Gpt final : public Model {
 public:
  Gpt(const ModelSpec& spec, nn::Initializer& init)
      : tokens_(spec.classes, spec.width, init, 0.02),
        positions_(spec.context, spec.width, init, 0.02),
        norm_(spec.width, init) {
    register_module("tokens", tokens_);
    register_module("positions", positions_);
    for (int64_t i = 0; i < spec.layers; ++i) {
      blocks_.push_back(std::make_unique<GptBlock>(spec.width, spec.heads, init));
      register_module("blocks." + std::to_string(i), *blocks_.back());
    }
    register_module("norm", norm_);
  }
  Tensor forward(const Tensor& x) override {
    Tensor position = arange(0, static_cast<double>(x.size(1)), 1, DType::i64, x.device());
    Tensor y = tokens_(cast(x, DType::i64)) + positions_(position);
    for (auto& block : blocks_) y = (*block)(y);
    return linear(reshape(norm_(y), {x.numel(), y.size(-1)}), tokens_.weight());
  }

 private:
  nn::Embedding tokens_, positions_;
  std::vector<std::unique_ptr<GptBlock>> blocks_;
  nn::LayerNorm norm_;
};

}  // namespace

Forward Model::train(const Samples& samples, int64_t batch, const Draw&) {
  const Tensor &x = samples.inputs[0], &target = samples.targets[0];
  double targets = static_cast<double>(batch * (target.numel() / x.size(0)));
  Tensor flat = cast(reshape(target, {-1}), DType::i64);
  return {cross_entropy(forward(x), flat, Reduction::sum) * (1.0 / targets), {}};
}

Assessment Model::assess(const Samples& samples, const Draw&) {
  NoGrad no_grad;
  Tensor logits = forward(samples.inputs[0]), flat = cast(reshape(samples.targets[0], {-1}), DType::i64);
  return {cross_entropy(logits, flat, Reduction::sum), sum(equal(argmax(logits, -1), flat))};
}

std::unique_ptr<Model> make_model(const ModelSpec& spec, uint64_t seed, Device device) {
  nn::Initializer init(seed, device);
  if (spec.classes < 1) fail("model", "classes must be at least 1, got ", spec.classes);
  if (spec.family == "mlp") return std::make_unique<Mlp>(spec, init);
  if (spec.family == "cnn") return std::make_unique<Cnn>(spec, init);
  if (spec.family == "gpt") return std::make_unique<Gpt>(spec, init);
  fail("model", "family \"", spec.family, "\" is none of mlp, cnn, gpt");
}

}  // namespace ds::models

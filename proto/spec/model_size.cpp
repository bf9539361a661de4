// The built-in models' parameters and forward FLOPs, in closed form. engine/models builds the same models; a test
// compares. FLOPs are those of matrix products and convolutions, 2 a multiply-add.
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

constexpr double kImageSide = 28, kImageClasses = 10;  // fashion_mnist, one channel
constexpr double kCnnHidden = 128;

struct Layers {
  ModelSize size;
  void linear(double in, double out, double rows = 1) {
    size.params += in * out + out;
    size.flops += 2 * rows * in * out;
  }
  void conv3x3(double in, double out, double pixels) {
    size.params += 9 * in * out + out;
    size.flops += 2 * pixels * 9 * in * out;
  }
};

// The list, as deep as `depth` says: its last width repeated.
template <class List>
std::vector<double> widths(const List& list, const v1::ModelSpec& model) {
  std::vector<double> out(list.begin(), list.end());
  const double last = out.empty() ? 0 : out.back();
  if (model.has_depth()) out.resize(static_cast<size_t>(model.depth()), last);
  return out;
}

ModelSize mlp(const v1::ModelSpec& model) {
  Layers layers;
  double in = kImageSide * kImageSide;
  for (const double width : widths(model.hidden(), model)) {
    layers.linear(in, width);
    in = width;
  }
  layers.linear(in, kImageClasses);
  return layers.size;
}

// Each convolution is followed by a pooling that halves the image.
ModelSize cnn(const v1::ModelSpec& model) {
  Layers layers;
  double in = 1;
  auto side = static_cast<int64_t>(kImageSide);
  for (const double channels : widths(model.channels(), model)) {
    layers.conv3x3(in, channels, static_cast<double>(side * side));
    in = channels;
    side /= 2;
  }
  layers.linear(in * static_cast<double>(side * side), kCnnHidden);
  layers.linear(kCnnHidden, kImageClasses);
  return layers.size;
}

// The head shares the embedding's weight; attention multiplies whole matrices, and masks the future.
ModelSize gpt(const v1::ModelSpec& model) {
  const auto width = static_cast<double>(model.width()), context = static_cast<double>(model.context());
  const auto vocab = static_cast<double>(model.vocab()), blocks = static_cast<double>(model.layers());
  Layers block;
  block.linear(width, 3 * width, context);
  block.linear(width, width, context);
  block.linear(width, 4 * width, context);
  block.linear(4 * width, width, context);
  const double norm = 2 * width, scores = 2 * context * context * width;
  ModelSize size;
  size.params = (vocab + context) * width + blocks * (block.size.params + 2 * norm) + norm;
  size.flops = blocks * (block.size.flops + 2 * scores) + 2 * context * width * vocab;
  return size;
}

}  // namespace

std::optional<ModelSize> model_size(const v1::JobSpec& job) {
  const v1::ModelSpec& model = job.model();
  if (model.family() == "gpt") return gpt(model);
  if (!job.data().path().empty()) return std::nullopt;  // images of another size, perhaps
  if (model.family() == "mlp") return mlp(model);
  if (model.family() == "cnn") return cnn(model);
  return std::nullopt;
}

}  // namespace ds::spec

// Fashion-MNIST (Zalando Research, MIT licence), as Debian's dataset-fashion-mnist installs it.
#include <algorithm>
#include <array>
#include <filesystem>

#include "engine/data/datasets.h"
#include "engine/data/idx.h"
#include "engine/data/normalise.h"

namespace ds::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPackageFolder = "/usr/share/datasets/fashion-mnist";
constexpr const char* kPackage = "dataset-fashion-mnist";
constexpr int64_t kClasses = 10;
// Of the 60,000 training images, pixels in [0, 1].
constexpr double kMean = 0.2860, kStd = 0.3530;

class FashionMnist final : public Dataset {
 public:
  FashionMnist(IdxArray images, IdxArray labels, int64_t size)
      : images_(std::move(images)), labels_(std::move(labels)), size_(size) {
    shape_ = {1, images_.shape[1], images_.shape[2]};
    pixels_ = static_cast<size_t>(input_elements());
  }
  int64_t size() const override { return size_; }
  std::span<const int64_t> input_shape() const override { return shape_; }
  DType input_dtype() const override { return DType::f32; }
  std::span<const int64_t> target_shape() const override { return {}; }
  int64_t classes() const override { return kClasses; }

  void read(std::span<const int64_t> indices, void* inputs, void* targets) const override {
    check_indices("fashion_mnist", indices, size_);
    constexpr auto kScale = static_cast<float>(1 / (255 * kStd)), kShift = static_cast<float>(-kMean / kStd);
    constexpr size_t kAhead = 4, kLine = 64;  // images lie anywhere in 47 MB: ask for the lines a few images early
    float* out = static_cast<float*>(inputs);
    auto* classes = static_cast<int64_t*>(targets);
    for (size_t i = 0; i < indices.size(); ++i, out += pixels_) {
      if (i + kAhead < indices.size()) {
        const uint8_t* next = image(indices[i + kAhead]);
        for (size_t at = 0; at < pixels_; at += kLine) __builtin_prefetch(next + at);
      }
      normalise(image(indices[i]), pixels_, kScale, kShift, out);
      classes[i] = labels_.data.get()[indices[i]];
    }
  }

 private:
  const uint8_t* image(int64_t index) const { return images_.data.get() + static_cast<size_t>(index) * pixels_; }

  IdxArray images_, labels_;
  int64_t size_;
  std::array<int64_t, 3> shape_{};
  size_t pixels_ = 0;
};

// The file with or without .gz; throws DataError with the way to get it.
std::string find_file(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {".gz", ""}) {
    if (const fs::path path = folder / (name + suffix); fs::exists(path)) return path.string();
  }
  throw DataError("[fashion_mnist] " + (folder / name).string() + "[.gz] is not there" +
                  (folder == kPackageFolder ? std::string("; apt install ") + kPackage : ""));
}

}  // namespace

std::unique_ptr<Dataset> open_fashion_mnist(const DatasetOptions& options) {
  const fs::path folder = options.path.empty() ? kPackageFolder : options.path;
  const std::string prefix = options.split == Split::train ? "train" : "t10k";
  const std::string image_path = find_file(folder, prefix + "-images-idx3-ubyte");
  const std::string label_path = find_file(folder, prefix + "-labels-idx1-ubyte");
  IdxArray images = read_idx(image_path, 3, options.cache), labels = read_idx(label_path, 1);
  const int64_t n = images.shape[0];
  if (n != labels.shape[0]) {
    throw DataError("[fashion_mnist] count differs: " + image_path + " has " + std::to_string(n) + " images, " +
                    label_path + " has " + std::to_string(labels.shape[0]) + " labels");
  }
  if (n == 0 || images.elements() == 0) throw DataError("[fashion_mnist] " + image_path + " holds no pixels");
  const uint8_t* end = labels.data.get() + n;
  const uint8_t* bad = std::find_if(labels.data.get(), end, [](uint8_t label) { return label >= kClasses; });
  if (bad != end) {
    throw DataError("[fashion_mnist] " + label_path + ": label " + std::to_string(bad - labels.data.get()) + " is " +
                    std::to_string(*bad) + ", there are " + std::to_string(kClasses) + " classes");
  }
  return std::make_unique<FashionMnist>(std::move(images), std::move(labels),
                                        limited("fashion_mnist", n, options.limit));
}

}  // namespace ds::data

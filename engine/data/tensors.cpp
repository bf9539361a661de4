// A safetensors file of samples: whatever somebody has made of their own data.
#include <algorithm>
#include <cstring>

#include "engine/data/datasets.h"
#include "engine/io/safetensors.h"

namespace ds::data {
namespace {

using io::TensorView;

template <class T>
int64_t largest(const TensorView& t) {
  int64_t most = 0;
  if constexpr (std::is_integral_v<T>) {
    for (size_t i = 0; i < t.elements(); ++i) {
      T value;
      std::memcpy(&value, static_cast<const char*>(t.data) + i * sizeof(T), sizeof(T));  // may not be aligned
      most = std::max(most, static_cast<int64_t>(value));
    }
  }
  return most;
}

int64_t largest(const TensorView& t) {
  switch (t.dtype) {
#define DS_LARGEST(e, type, name) \
  case DType::e:                  \
    return largest<type>(t);
    DS_DTYPES(DS_LARGEST)
#undef DS_LARGEST
  }
  return 0;
}

class Tensors final : public Dataset {
 public:
  Tensors(io::SafetensorsFile file, const TensorView* inputs, const TensorView* targets, int64_t size)
      : file_(std::move(file)), inputs_(inputs), targets_(targets), size_(size) {
    if (is_integer(targets->dtype) && targets->elements() > 0) classes_ = largest(*targets) + 1;
  }
  int64_t size() const override { return size_; }
  std::span<const int64_t> input_shape() const override { return rest(*inputs_); }
  DType input_dtype() const override { return inputs_->dtype; }
  std::span<const int64_t> target_shape() const override { return rest(*targets_); }
  DType target_dtype() const override { return targets_->dtype; }
  int64_t classes() const override { return classes_; }

  void read(std::span<const int64_t> indices, void* inputs, void* targets) const override {
    check_indices("tensors", indices, size_);
    copy(*inputs_, static_cast<size_t>(input_elements()), indices, inputs);
    copy(*targets_, static_cast<size_t>(target_elements()), indices, targets);
  }

 private:
  static std::span<const int64_t> rest(const TensorView& t) { return std::span(t.shape).subspan(1); }
  static void copy(const TensorView& from, size_t elements, std::span<const int64_t> indices, void* to) {
    size_t bytes = elements * size_of(from.dtype);
    auto* out = static_cast<char*>(to);
    for (int64_t i : indices) {
      std::memcpy(out, static_cast<const char*>(from.data) + static_cast<size_t>(i) * bytes, bytes);
      out += bytes;
    }
  }

  io::SafetensorsFile file_;
  const TensorView *inputs_, *targets_;  // of the file
  int64_t size_, classes_ = 0;
};

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw DataError("[tensors] " + path + ": " + what);
}

}  // namespace

std::unique_ptr<Dataset> open_tensors(const DatasetOptions& options) try {
  if (options.path.empty()) throw DataError("[tensors] path is empty: name a safetensors file");
  io::SafetensorsFile file(options.path);
  const std::string& path = options.path;
  auto two = [&](const std::string& split) {
    const TensorView *inputs = file.find(split + ".inputs"), *targets = file.find(split + ".targets");
    if (!inputs != !targets)
      refuse(path, "has " + split + (inputs ? ".inputs and no " : ".targets and no ") + split +
                       (inputs ? ".targets" : ".inputs"));
    for (const TensorView* t : {inputs, targets})
      if (t && t->shape.empty()) refuse(path, t->name + " has no dimension of samples");
    if (inputs && inputs->shape[0] != targets->shape[0])
      refuse(path, inputs->name + " has " + std::to_string(inputs->shape[0]) + " samples, " + targets->name + " " +
                       std::to_string(targets->shape[0]));
    return std::pair(inputs, targets);
  };
  auto [inputs, targets] = two("train");
  if (!inputs) refuse(path, "has no train.inputs and train.targets");
  if (inputs->shape[0] == 0) refuse(path, "train.inputs holds no sample");
  if (options.split == Split::train) {
    int64_t size = limited("tensors", inputs->shape[0], options.limit);
    return std::make_unique<Tensors>(std::move(file), inputs, targets, size);
  }
  auto [test_inputs, test_targets] = two("test");
  if (!test_inputs) return std::make_unique<Tensors>(std::move(file), inputs, targets, 0);
  for (auto [test, train] : {std::pair(test_inputs, inputs), {test_targets, targets}})
    if (test->dtype != train->dtype ||
        !std::equal(test->shape.begin() + 1, test->shape.end(), train->shape.begin() + 1, train->shape.end()))
      refuse(path, test->name + " and " + train->name + " hold samples of different types");
  return std::make_unique<Tensors>(std::move(file), test_inputs, test_targets,
                                   limited("tensors", test_inputs->shape[0], options.limit));
} catch (const io::IoError& error) {
  throw DataError(std::string("[tensors] ") + error.what());
}

}  // namespace ds::data

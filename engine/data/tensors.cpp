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

using Columns = std::vector<const TensorView*>;  // of the file, one sample a row

std::span<const int64_t> sample_shape(const TensorView& t) { return std::span(t.shape).subspan(1); }

class Tensors final : public Dataset {
 public:
  Tensors(io::SafetensorsFile file, Columns inputs, Columns targets, int64_t size)
      : file_(std::move(file)), inputs_(std::move(inputs)), targets_(std::move(targets)), size_(size) {
    const TensorView& first = *targets_[0];
    if (is_integer(first.dtype) && first.elements() > 0) classes_ = largest(first) + 1;
  }
  int64_t size() const override { return size_; }
  std::span<const int64_t> input_shape() const override { return sample_shape(*inputs_[0]); }
  DType input_dtype() const override { return inputs_[0]->dtype; }
  std::span<const int64_t> target_shape() const override { return sample_shape(*targets_[0]); }
  DType target_dtype() const override { return targets_[0]->dtype; }
  int64_t classes() const override { return classes_; }
  std::vector<Column> inputs() const override { return columns(inputs_); }
  std::vector<Column> targets() const override { return columns(targets_); }

  void read(std::span<const int64_t> indices, void* inputs, void* targets) const override {
    check_indices("tensors", indices, size_);
    copy(inputs_, indices, static_cast<char*>(inputs));
    copy(targets_, indices, static_cast<char*>(targets));
  }

 private:
  static std::vector<Column> columns(const Columns& of) {
    std::vector<Column> out;
    for (const TensorView* t : of) out.push_back({t->dtype, {t->shape.begin() + 1, t->shape.end()}});
    return out;
  }
  static void copy(const Columns& from, std::span<const int64_t> indices, char* to) {
    std::vector<size_t> offsets = offsets_of(columns(from), indices.size());
    for (size_t k = 0; k < from.size(); ++k) {
      const size_t bytes = from[k]->bytes() / std::max<size_t>(1, static_cast<size_t>(from[k]->shape[0]));
      char* out = to + offsets[k];
      for (int64_t i : indices) {
        std::memcpy(out, static_cast<const char*>(from[k]->data) + static_cast<size_t>(i) * bytes, bytes);
        out += bytes;
      }
    }
  }

  io::SafetensorsFile file_;
  Columns inputs_, targets_;
  int64_t size_, classes_ = 0;
};

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw DataError("[tensors] " + path + ": " + what);
}

// "train.inputs", or "train.inputs.0" and those after it.
Columns columns_of(const io::SafetensorsFile& file, const std::string& name) {
  if (const TensorView* one = file.find(name)) return {one};
  Columns out;
  while (const TensorView* next = file.find(name + "." + std::to_string(out.size()))) out.push_back(next);
  return out;
}

struct Parts {
  Columns inputs, targets;
};

// Of a split; both are empty where it has none.
Parts parts_of(const io::SafetensorsFile& file, const std::string& path, const std::string& split) {
  Parts p{columns_of(file, split + ".inputs"), columns_of(file, split + ".targets")};
  const bool inputs = !p.inputs.empty();
  if (inputs != !p.targets.empty())
    refuse(path, "has " + split + (inputs ? ".inputs and no " : ".targets and no ") + split +
                     (inputs ? ".targets" : ".inputs"));
  for (const Columns* columns : {&p.inputs, &p.targets})
    for (const TensorView* t : *columns) {
      if (t->shape.empty()) refuse(path, t->name + " has no dimension of samples");
      const TensorView& first = *p.inputs[0];
      if (t->shape[0] != first.shape[0])
        refuse(path, first.name + " has " + std::to_string(first.shape[0]) + " samples, " + t->name + " " +
                         std::to_string(t->shape[0]));
    }
  return p;
}

void check_alike(const std::string& path, const Columns& test, const Columns& train) {
  if (test.size() != train.size())
    refuse(path, "a test sample has " + std::to_string(test.size()) + " tensors as of " + test[0]->name + ", one of " +
                     train[0]->name + " " + std::to_string(train.size()));
  for (size_t k = 0; k < test.size(); ++k)
    if (test[k]->dtype != train[k]->dtype || !std::ranges::equal(sample_shape(*test[k]), sample_shape(*train[k])))
      refuse(path, test[k]->name + " and " + train[k]->name + " hold samples of different types");
}

}  // namespace

std::unique_ptr<Dataset> open_tensors(const DatasetOptions& options) try {
  const std::string& path = options.path;
  if (path.empty()) throw DataError("[tensors] path is empty: name a safetensors file");
  io::SafetensorsFile file(path);
  Parts train = parts_of(file, path, "train");
  if (train.inputs.empty()) refuse(path, "has no train.inputs and train.targets");
  const int64_t samples = train.inputs[0]->shape[0];
  if (samples == 0) refuse(path, "train.inputs holds no sample");
  auto dataset = [&](Parts& p, int64_t size) {
    return std::make_unique<Tensors>(std::move(file), std::move(p.inputs), std::move(p.targets), size);
  };
  if (options.split == Split::train) return dataset(train, limited("tensors", samples, options.limit));
  Parts test = parts_of(file, path, "test");
  if (test.inputs.empty()) return dataset(train, 0);
  check_alike(path, test.inputs, train.inputs);
  check_alike(path, test.targets, train.targets);
  return dataset(test, limited("tensors", test.inputs[0]->shape[0], options.limit));
} catch (const io::IoError& error) {
  throw DataError(std::string("[tensors] ") + error.what());
}

}  // namespace ds::data

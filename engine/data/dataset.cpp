#include "engine/data/dataset.h"

#include <algorithm>

#include "engine/data/datasets.h"

namespace ds::data {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Dataset> (*open)(const DatasetOptions&);
};
constexpr Entry kDatasets[] = {
    {"fashion_mnist", open_fashion_mnist}, {"tokens", open_tokens}, {"tensors", open_tensors}};

int64_t product(std::span<const int64_t> shape) {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

}  // namespace

int64_t Dataset::input_elements() const { return product(input_shape()); }
int64_t Dataset::target_elements() const { return product(target_shape()); }

std::vector<Column> Dataset::inputs() const { return {{input_dtype(), {input_shape().begin(), input_shape().end()}}}; }
std::vector<Column> Dataset::targets() const {
  return {{target_dtype(), {target_shape().begin(), target_shape().end()}}};
}

std::vector<size_t> offsets_of(std::span<const Column> columns, size_t samples) {
  constexpr size_t kLine = 64;
  std::vector<size_t> offsets{0};
  for (const Column& c : columns) {
    const size_t bytes = samples * static_cast<size_t>(product(c.shape)) * size_of(c.dtype);
    offsets.push_back(offsets.back() + (bytes + kLine - 1) / kLine * kLine);
  }
  return offsets;
}

std::unique_ptr<Dataset> open_dataset(std::string_view name, const DatasetOptions& options) {
  std::string known;
  for (const Entry& entry : kDatasets) {
    if (name == entry.name) return entry.open(options);
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw DataError("[open_dataset] no dataset \"" + std::string(name) + "\"; there are " + known);
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kDatasets) names.emplace_back(entry.name);
  return names;
}

void check_indices(const char* dataset, std::span<const int64_t> indices, int64_t size) {
  for (int64_t index : indices) {
    if (static_cast<uint64_t>(index) >= static_cast<uint64_t>(size)) {
      throw DataError(std::string("[") + dataset + "] index " + std::to_string(index) + " is outside [0, " +
                      std::to_string(size) + ")");
    }
  }
}

int64_t limited(const char* dataset, int64_t available, int64_t limit) {
  if (limit < 0) throw DataError(std::string("[") + dataset + "] limit is " + std::to_string(limit));
  return limit == 0 ? available : std::min(available, limit);
}

}  // namespace ds::data

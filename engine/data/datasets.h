// One function a dataset; open_dataset() picks by name.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "engine/data/dataset.h"

namespace ds::data {

std::unique_ptr<Dataset> open_fashion_mnist(const DatasetOptions& options);
std::unique_ptr<Dataset> open_tokens(const DatasetOptions& options);
std::unique_ptr<Dataset> open_tensors(const DatasetOptions& options);

// Throws DataError for the first index outside [0, size).
void check_indices(const char* dataset, std::span<const int64_t> indices, int64_t size);

// `limit` of the options against what there is; 0: all. Throws DataError for a negative one.
int64_t limited(const char* dataset, int64_t available, int64_t limit);

}  // namespace ds::data

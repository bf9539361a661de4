// Datasets: samples by index, decoded and normalised straight into the caller's buffers.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"

namespace ds::data {

// A file is missing, truncated or not what its name says, or an argument is impossible; names the file, the field, the
// value.
struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One tensor of a batch, as a sample has it.
struct Column {
  DType dtype;
  std::vector<int64_t> shape;
};

// Where each of a batch's columns begins in its memory, and where the last one ends: they lie one after the other, each
// at a multiple of 64 bytes.
std::vector<size_t> offsets_of(std::span<const Column> columns, size_t samples);

// Immutable after opening: read() may be called by several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;  // samples
  // Of one sample: {1, 28, 28} f32 for images, {context} i64 for tokens.
  virtual std::span<const int64_t> input_shape() const = 0;
  virtual DType input_dtype() const = 0;
  // Of one sample: {} for labels, {context} for tokens (the input moved on by one).
  virtual std::span<const int64_t> target_shape() const = 0;
  virtual DType target_dtype() const { return DType::i64; }
  virtual int64_t classes()
      const = 0;  // targets lie in [0, classes): labels, or the vocabulary; 0: they are no classes

  // Where a sample is several tensors, the functions above tell of the first input and the first target.
  virtual std::vector<Column> inputs() const;
  virtual std::vector<Column> targets() const;

  // Writes the samples' inputs and targets, column by column (offsets_of), the samples of each one after the other.
  // Throws DataError for an index outside [0, size()).
  virtual void read(std::span<const int64_t> indices, void* inputs, void* targets) const = 0;

  int64_t input_elements() const;
  int64_t target_elements() const;
};

enum class Split : uint8_t { train, test };

struct DatasetOptions {
  std::string path;  // folder of the IDX files, or the file; empty: the dataset's Debian package
  Split split = Split::train;
  int64_t limit = 0;    // use only the first N samples; 0: all
  int64_t context = 0;  // tokens: length of a sample
  int64_t vocab = 0;    // tokens: bound that every token is checked against; 0: 256 for bytes, else found by a scan
  std::string cache;    // folder for decoded files (default_cache_folder() in decode_cache.h); empty: none
};

// "fashion_mnist": 60,000 + 10,000 images, pixels as (x / 255 - mean) / std.
// "tokens": a file ending in .u16 or .bin (uint16) or .u32 (uint32), little-endian; any other file is read as bytes.
//   Sample i is tokens [i*context, (i+1)*context] (context + 1 of them; neighbours share one). A single file gives its
//   last tenth of samples to the test split; a folder has train.* and test.* (or val.*).
// "tensors": a safetensors file with train.inputs and train.targets, of any dtypes, one sample a row; and test.inputs
//   and test.targets, or neither: then the test split is empty. Several tensors a sample: train.inputs.0, .1, ...
// Throws DataError; an unknown name lists the known ones, a missing package is named.
std::unique_ptr<Dataset> open_dataset(std::string_view name, const DatasetOptions& options = {});

// Names that open_dataset() knows.
std::vector<std::string> dataset_names();

}  // namespace ds::data

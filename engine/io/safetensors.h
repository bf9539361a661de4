// The safetensors format: 8 bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}},
// then the bytes. Readable by the Python package `safetensors`, and strict about what it reads.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"

namespace ds::io {

// A file cannot be read or written, or is not what it should be; names the file, the field and the value.
struct IoError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A named buffer: contiguous, row-major, `bytes()` long. Does not own its data.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  const void* data = nullptr;

  size_t elements() const;
  size_t bytes() const { return elements() * size_of(dtype); }
};

using Metadata = std::map<std::string, std::string>;

struct FileSummary {
  uint64_t size = 0;    // bytes
  uint32_t crc32c = 0;  // of all of them
};

// Writes the data in descending element size, else in the order given, so that each tensor is aligned to its element;
// fsyncs the file (not its folder). Throws IoError for a doubled name or a failed write.
FileSummary write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                              const Metadata& metadata = {});

class MappedFile;

// A file mapped read-only; the views point into the mapping and live as long as this or a copy of it. Files of other
// writers may hold tensors that are not aligned to their element: copy them out.
class SafetensorsFile {
 public:
  // Throws IoError when anything disagrees: header length (at most 100 MB), JSON, dtype, shape, offsets outside the
  // file, overlaps, holes, sizes that differ from dtype x shape.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const;
  const std::vector<TensorView>& tensors() const { return tensors_; }  // in the order of their offsets
  const Metadata& metadata() const { return metadata_; }
  // nullptr when absent.
  const TensorView* find(std::string_view name) const;
  FileSummary summary() const;  // reads the whole file

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
  Metadata metadata_;
};

}  // namespace ds::io

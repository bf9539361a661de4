// IDX files, as MNIST and its kin come: big-endian magic (type, rank), extents, then the elements.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ds::data {

// A uint8 array. `data` keeps whatever memory it lies in: decoded, or mapped from the cache.
struct IdxArray {
  std::vector<int64_t> shape;
  std::shared_ptr<const uint8_t> data;
  int64_t elements() const;
};

// Reads a uint8 IDX file, plain or gzip (told apart by content). Throws DataError that names the file, the field and
// the value: wrong magic, another type or rank than `rank`, truncated, trailing bytes, damaged gzip. cache_folder:
// decoded gzip files are kept there, keyed by path, size and modification time, and mapped the next time; a cache that
// cannot be read or written is passed over. Empty: none.
IdxArray read_idx(const std::string& path, int64_t rank, const std::string& cache_folder = {});

}  // namespace ds::data

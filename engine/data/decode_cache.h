// Decoded gzip files, kept so that a restarted executor maps 47 MB instead of inflating them again (0.2 s).
#pragma once
#include <string>

#include "engine/data/idx.h"

namespace ds::data {

class DecodeCache {
 public:
  // For one source file. An empty folder: load() finds nothing and store() does nothing.
  DecodeCache(const std::string& folder, const std::string& source);

  // False when there is no entry of this very source (path, size, modification time), of this rank, whole by its
  // checksum.
  bool load(int64_t rank, IdxArray* array) const;
  // Written under a temporary name and renamed; a failure is passed over, it only costs time.
  void store(const IdxArray& array) const;

 private:
  std::string folder_, entry_, key_;
};

// $DS_CACHE, else $XDG_CACHE_HOME/deepseek, else $HOME/.cache/deepseek; empty when none is set.
std::string default_cache_folder();

}  // namespace ds::data

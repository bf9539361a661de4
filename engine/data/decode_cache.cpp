#include "engine/data/decode_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "engine/data/philox.h"
#include "engine/io/crc32c.h"
#include "engine/io/file.h"
#include "engine/io/safetensors.h"

namespace ds::data {
namespace {

namespace fs = std::filesystem;

std::string file_name_of(const std::string& key) {
  uint64_t hash = 0;
  for (unsigned char c : key) hash = splitmix64(hash ^ c);
  char name[40];
  std::snprintf(name, sizeof name, "idx-%016lx.safetensors", hash);
  return name;
}

}  // namespace

DecodeCache::DecodeCache(const std::string& folder, const std::string& source) {
  struct stat info;
  if (folder.empty() || ::stat(source.c_str(), &info) != 0) return;
  folder_ = folder;
  key_ = fs::absolute(source).lexically_normal().string();
  entry_ = (fs::path(folder) / file_name_of(key_)).string();
  key_ += " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
          std::to_string(info.st_mtim.tv_nsec);
}

bool DecodeCache::load(int64_t rank, IdxArray* array) const {
  if (entry_.empty() || ::access(entry_.c_str(), R_OK) != 0) return false;
  try {
    const auto file = std::make_shared<const io::SafetensorsFile>(entry_);
    const io::Metadata& metadata = file->metadata();
    const io::TensorView* elements = file->find("elements");
    if (elements == nullptr || static_cast<int64_t>(elements->shape.size()) != rank) return false;
    if (metadata.at("source") != key_) return false;
    if (metadata.at("crc32c") != std::to_string(io::crc32c(elements->data, elements->bytes()))) return false;
    array->shape = elements->shape;
    array->data = {file, static_cast<const uint8_t*>(elements->data)};
    return true;
  } catch (const std::exception&) {
    return false;  // damaged, or of another version: decode again
  }
}

void DecodeCache::store(const IdxArray& array) const {
  if (entry_.empty()) return;
  const io::TensorView view{"elements", DType::u8, array.shape, array.data.get()};
  const std::string temporary = entry_ + "." + std::to_string(::getpid());
  try {
    io::make_folder(folder_);
    io::write_safetensors(temporary, {&view, 1},
                          {{"source", key_}, {"crc32c", std::to_string(io::crc32c(view.data, view.bytes()))}});
    io::rename_path(temporary, entry_);
  } catch (const io::IoError&) {
    ::unlink(temporary.c_str());
  }
}

std::string default_cache_folder() {
  if (const char* folder = std::getenv("DS_CACHE")) return folder;
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder != 0) {
    return (fs::path(folder) / "deepseek").string();
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0) {
    return (fs::path(home) / ".cache/deepseek").string();
  }
  return {};
}

}  // namespace ds::data

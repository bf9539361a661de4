// The few file operations that durability is made of. All throw IoError that names the operation, the path and errno.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/io/safetensors.h"

namespace ds::io {

// A whole file, mapped read-only. Stays valid when the file is renamed or removed.
class MappedFile {
 public:
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  const unsigned char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::string path_;
  unsigned char* data_ = nullptr;
  size_t size_ = 0;
};

// Writes a new file (an old one of that name is emptied) and keeps the checksum of what went by.
class FileWriter {
 public:
  explicit FileWriter(std::string path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t bytes);
  FileSummary finish();  // fsync and close; nothing is durable before

 private:
  std::string path_;
  int fd_;
  FileSummary summary_;
};

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);  // fsynced
void make_folder(const std::string& path);                          // with its parents; fine when it is there
void sync_folder(const std::string& path);
void rename_path(const std::string& from, const std::string& to);
// Swaps two folders in one step. False where the file system cannot.
bool exchange_paths(const std::string& a, const std::string& b);
void remove_tree(const std::string& path);  // fine when it is not there

// Tests: called before each operation that changes the disk, with its name and path, so that a crash can be put
// anywhere.
using FileProbe = void (*)(const char* operation, const std::string& path);
void set_file_probe(FileProbe probe);

}  // namespace ds::io

#include "engine/io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/io/crc32c.h"

namespace ds::io {
namespace {

std::atomic<FileProbe> file_probe{nullptr};

void probe(const char* operation, const std::string& path) {
  if (const FileProbe function = file_probe.load(std::memory_order_relaxed)) function(operation, path);
}

[[noreturn]] void fail(const char* operation, const std::string& path, int error = errno) {
  throw IoError(std::string("[") + operation + "] " + path + ": " + std::strerror(error));
}

// Checksummed while it is still in the cache.
constexpr size_t kWriteBytes = size_t{1} << 18;

}  // namespace

void set_file_probe(FileProbe function) { file_probe.store(function); }

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open", path_);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    const int error = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    ::close(fd);
    fail("open", path_, error);
  }
  size_ = static_cast<size_t>(info.st_size);
  void* address = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (address == MAP_FAILED) fail("mmap", path_, error);
  data_ = static_cast<unsigned char*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

FileWriter::FileWriter(std::string path) : path_(std::move(path)) {
  probe("open", path_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("open", path_);
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void FileWriter::write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const size_t chunk = std::min(bytes, kWriteBytes);
    summary_.crc32c = crc32c(from, chunk, summary_.crc32c);
    probe("write", path_);
    for (size_t done = 0; done < chunk;) {
      const ssize_t n = ::write(fd_, from + done, chunk - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write", path_);
      done += static_cast<size_t>(n);
    }
    summary_.size += chunk;
    from += chunk;
    bytes -= chunk;
  }
}

FileSummary FileWriter::finish() {
  probe("fsync", path_);
  if (::fsync(fd_) != 0) fail("fsync", path_);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("close", path_);
  return summary_;
}

std::string read_text(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

void write_text(const std::string& path, const std::string& text) {
  FileWriter writer(path);
  writer.write(text.data(), text.size());
  writer.finish();
}

void make_folder(const std::string& path) {
  probe("mkdir", path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail("mkdir", path, error.value());
}

void sync_folder(const std::string& path) {
  probe("fsync folder", path);
  const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("open", path);
  const int result = ::fsync(fd), error = errno;
  ::close(fd);
  if (result != 0) fail("fsync", path, error);
}

void rename_path(const std::string& from, const std::string& to) {
  probe("rename", to);
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", from + " to " + to);
}

bool exchange_paths(const std::string& a, const std::string& b) {
  probe("exchange", b);
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS || errno == EXDEV || errno == ENOTSUP) return false;
  fail("exchange", a + " with " + b);
}

void remove_tree(const std::string& path) {
  probe("remove", path);
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) fail("remove", path, error.value());
}

}  // namespace ds::io

#include "engine/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "engine/data/dataset.h"
#include "engine/data/decode_cache.h"
#include "engine/io/file.h"

namespace ds::data {
namespace {

constexpr uint8_t kTypeU8 = 0x08;
constexpr int64_t kBytesBound = int64_t{1} << 40;  // no extent field can make us ask for more

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError("[idx] " + path + ": " + why);
}

// The file's bytes after decompression, front to back.
class Source {
 public:
  explicit Source(const io::MappedFile& file) : file_(file) {
    gzip_ = file.size() >= 2 && file.data()[0] == 0x1f && file.data()[1] == 0x8b;
    if (gzip_ && inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~Source() {
    if (gzip_) inflateEnd(&stream_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  bool gzip() const { return gzip_; }

  // As many of `bytes` as there are.
  size_t read(uint8_t* to, size_t bytes) {
    if (!gzip_) {
      const size_t n = std::min(bytes, file_.size() - at_);
      if (n > 0) std::memcpy(to, file_.data() + at_, n);
      at_ += n;
      return n;
    }
    size_t done = 0;
    while (done < bytes && !ended_) done += inflate_some(to + done, bytes - done);
    return done;
  }

  // Nothing is left, and the gzip trailer (CRC-32, length) agreed.
  bool at_end() {
    uint8_t extra;
    return read(&extra, 1) == 0 && (gzip_ || at_ == file_.size());
  }

 private:
  static constexpr size_t kChunk = size_t{1} << 30;  // zlib counts in 32 bits

  size_t inflate_some(uint8_t* to, size_t bytes) {
    const size_t in = std::min(file_.size() - at_, kChunk), out = std::min(bytes, kChunk);
    stream_.next_in = const_cast<Bytef*>(file_.data() + at_);
    stream_.avail_in = static_cast<uInt>(in);
    stream_.next_out = to;
    stream_.avail_out = static_cast<uInt>(out);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    at_ += in - stream_.avail_in;
    const size_t produced = out - stream_.avail_out;
    if (result == Z_STREAM_END) {
      ended_ = true;
      if (at_ != file_.size())
        refuse(file_.path(), std::to_string(file_.size() - at_) + " bytes behind the gzip stream");
    } else if (result == Z_BUF_ERROR || (result == Z_OK && produced == 0 && at_ == file_.size())) {
      refuse(file_.path(), "the gzip stream is truncated at byte " + std::to_string(at_));
    } else if (result != Z_OK) {
      refuse(file_.path(), std::string("the gzip stream is damaged: ") + (stream_.msg ? stream_.msg : "?"));
    }
    return produced;
  }

  const io::MappedFile& file_;
  z_stream stream_{};
  size_t at_ = 0;
  bool gzip_ = false, ended_ = false;
};

std::vector<int64_t> read_header(Source& source, const std::string& path, int64_t rank) {
  uint8_t magic[4];
  if (const size_t n = source.read(magic, 4); n != 4)
    refuse(path, "truncated: magic has " + std::to_string(n) + " bytes");
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != kTypeU8 || magic[3] != rank) {
    char text[96];
    std::snprintf(text, sizeof text, "magic is 0x%02x%02x%02x%02x, expected 0x000008%02x (uint8, rank %d)", magic[0],
                  magic[1], magic[2], magic[3], static_cast<unsigned>(rank), static_cast<int>(rank));
    refuse(path, text);
  }
  std::vector<int64_t> shape;
  int64_t elements = 1;
  for (int64_t axis = 0; axis < rank; ++axis) {
    uint8_t b[4];
    if (source.read(b, 4) != 4) refuse(path, "truncated: extent " + std::to_string(axis) + " is missing");
    shape.push_back(int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
    if (__builtin_mul_overflow(elements, shape.back(), &elements) || elements > kBytesBound) {
      refuse(path, "extent " + std::to_string(axis) + " is " + std::to_string(shape.back()) + ", too large");
    }
  }
  return shape;
}

// A wrong extent in a small file must not ask for a terabyte: deflate packs no tighter than the bound.
std::shared_ptr<const uint8_t> read_elements(Source& source, const std::string& path, size_t bytes, size_t file_bytes) {
  constexpr size_t kDeflateRatioBound = 1100;
  if (bytes / kDeflateRatioBound > file_bytes) {
    refuse(path, "truncated: the extents need " + std::to_string(bytes) + " bytes, the file has " +
                     std::to_string(file_bytes) + " compressed");
  }
  std::shared_ptr<uint8_t[]> data(new uint8_t[bytes]);
  const size_t n = source.read(data.get(), bytes);
  if (n != bytes) {
    refuse(path, "truncated: the extents need " + std::to_string(bytes) + " bytes, there are " + std::to_string(n));
  }
  if (!source.at_end()) refuse(path, "bytes are left behind the " + std::to_string(bytes) + " that the extents need");
  return {data, data.get()};
}

}  // namespace

int64_t IdxArray::elements() const {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

IdxArray read_idx(const std::string& path, int64_t rank, const std::string& cache_folder) try {
  const DecodeCache cache(cache_folder, path);
  IdxArray array;
  if (cache.load(rank, &array)) return array;
  const io::MappedFile file(path);
  Source source(file);
  array.shape = read_header(source, path, rank);
  array.data = read_elements(source, path, static_cast<size_t>(array.elements()), file.size());
  if (source.gzip()) cache.store(array);
  return array;
} catch (const io::IoError& error) {
  throw DataError(error.what());
}

}  // namespace ds::data

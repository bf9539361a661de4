// IDX files made on the spot.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace ds::testing {

inline std::string big_endian(uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

inline std::string idx_file(const std::vector<uint32_t>& shape, const std::string& elements, uint8_t type = 0x08) {
  std::string bytes = big_endian(static_cast<uint32_t>(type) << 8 | static_cast<uint32_t>(shape.size()));
  for (uint32_t extent : shape) bytes += big_endian(extent);
  return bytes + elements;
}

inline std::string gzipped(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflate");
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// `n` images of 2x3 and their labels, as fashion_mnist names them. Pixel p of image i is 16 * i + p.
inline std::string small_images(uint32_t n) {
  std::string pixels;
  for (uint32_t i = 0; i < n; ++i) {
    for (uint32_t p = 0; p < 6; ++p) pixels += static_cast<char>(16 * i + p);
  }
  return idx_file({n, 2, 3}, pixels);
}

inline std::string small_labels(uint32_t n) {
  std::string labels;
  for (uint32_t i = 0; i < n; ++i) labels += static_cast<char>(i % 10);
  return idx_file({n}, labels);
}

}  // namespace ds::testing

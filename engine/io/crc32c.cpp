#include "engine/io/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace ds::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the tables read words in little-endian order");

// Table k advances a byte over k more zero bytes, so that eight bytes are looked up side by side.
constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][byte] = value;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = make_tables();

}  // namespace

namespace detail {

uint32_t crc32c_portable(const unsigned char* data, size_t bytes, uint32_t value) {
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= value;
    value = 0;
    for (size_t k = 0; k < 8; ++k) value ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; bytes > 0; ++data, --bytes) value = (value >> 8) ^ kTables[0][(value ^ *data) & 0xff];
  return value;
}

}  // namespace detail

uint32_t crc32c(const void* data, size_t bytes, uint32_t crc) {
  static const detail::Crc32cFunction hardware = detail::crc32c_hardware();
  static const detail::Crc32cFunction function = hardware != nullptr ? hardware : detail::crc32c_portable;
  return ~function(static_cast<const unsigned char*>(data), bytes, ~crc);
}

}  // namespace ds::io

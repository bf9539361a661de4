// Built with -msse4.2; only entered on a CPU that has it.
#include <nmmintrin.h>

#include <cstring>

#include "engine/io/crc32c.h"

namespace ds::io::detail {
namespace {

uint32_t crc32c_sse42(const unsigned char* data, size_t bytes, uint32_t value) {
  uint64_t wide = value;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  value = static_cast<uint32_t>(wide);
  for (; bytes > 0; ++data, --bytes) value = _mm_crc32_u8(value, *data);
  return value;
}

}  // namespace

Crc32cFunction crc32c_hardware() { return __builtin_cpu_supports("sse4.2") ? crc32c_sse42 : nullptr; }

}  // namespace ds::io::detail

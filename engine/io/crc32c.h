// CRC-32C (Castagnoli): by the CPU's instruction where it has one, by tables elsewhere; the same value.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ds::io {

// Of `bytes` at `data`, going on from `crc` (0 at the start): crc32c(ab) == crc32c(b, crc32c(a)).
uint32_t crc32c(const void* data, size_t bytes, uint32_t crc = 0);

namespace detail {
using Crc32cFunction = uint32_t (*)(const unsigned char* data, size_t bytes, uint32_t register_value);
uint32_t crc32c_portable(const unsigned char* data, size_t bytes, uint32_t register_value);
// nullptr where this CPU has no such instruction.
Crc32cFunction crc32c_hardware();
}  // namespace detail

}  // namespace ds::io

// The page of flags a rank shows its peers in shared memory. Plain memory: it is mapped by other processes, and zero
// bytes are its initial state. Lines that different ranks write, or that change at different rates, stand apart.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ds::comm {

inline constexpr uint64_t kSlots = 16;        // collectives that may be under way at once
inline constexpr size_t kInline = 16 * 1024;  // bytes a slot carries itself
inline constexpr size_t kExports = 1024;      // segments a rank may hold
inline constexpr size_t kCacheLine = 64;

// Where a rank's data for a collective lies, and what it believes the collective to be.
struct Descriptor {
  uint64_t bytes;
  uint64_t offset;      // in the segment
  uint32_t segment;     // index into exports; kInlined: the slot's own payload
  uint32_t generation;  // of the export
  uint32_t signature;   // collective, algorithm, dtype, op, root
  uint32_t peer_count;  // size of the group
  uint64_t count;
};
inline constexpr uint32_t kInlined = ~0u;

struct Slot {
  alignas(kCacheLine) Descriptor descriptor;           // written before `posted` says so
  alignas(kCacheLine) std::atomic<uint32_t> claimed;   // blocks of the owner's share that somebody took
  alignas(kCacheLine) std::atomic<uint32_t> finished;  // blocks the owner has finished, whoever's share they are of
};

struct Export {
  static constexpr size_t kHandle = 240;
  std::atomic<uint32_t> generation;  // 0: free
  uint32_t handle_bytes;
  std::array<char, kHandle> handle;
};

struct ControlBlock {
  uint64_t token;  // random, and part of the owner's address: proves that a mapping is the right memory
  // Collectives the owner has begun and finished, in order; the n-th lies in slot n % kSlots.
  alignas(kCacheLine) std::atomic<uint64_t> posted;
  alignas(kCacheLine) std::atomic<uint64_t> retired;
  // The owner sleeps on `doorbell`; a peer that changes what it may wait for rings it.
  alignas(kCacheLine) std::atomic<uint32_t> sleeping;
  std::atomic<uint32_t> doorbell;
  alignas(kCacheLine) std::atomic<uint32_t> left;  // the owner said goodbye
  std::atomic<uint32_t> aborted;                   // written by others: 1 + the rank that aborted
  std::array<char, 256> why;                       // the owner's reason, if it aborted
  std::array<Slot, kSlots> slots;
  std::array<Export, kExports> exports;
  alignas(4096) std::array<std::array<std::byte, kInline>, kSlots> payload;
};

static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(Descriptor) <= kCacheLine);

}  // namespace ds::comm

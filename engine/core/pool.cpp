#include "engine/core/pool.h"

#include <bit>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/core/out_of_memory.h"

namespace ds {
namespace {

class HostMemory final : public MemorySource {
 public:
  void* allocate(size_t bytes) override {
    void* p = std::aligned_alloc(64, bytes);
    if (!p) fail<OutOfMemory>("allocate", "the system has no ", bytes, " bytes of host memory left");
    return p;
  }
  void release(void* p, size_t) override { std::free(p); }
};

// Addresses that are never read: kernels of the null device touch nothing.
class NullMemory final : public MemorySource {
 public:
  void* allocate(size_t) override { return reinterpret_cast<void*>(uintptr_t{64}); }
  void release(void*, size_t) override {}
};

}  // namespace

MemorySource& host_memory() {
  static HostMemory source;
  return source;
}

MemorySource& null_memory() {
  static NullMemory source;
  return source;
}

Pool::Class Pool::class_of(size_t bytes) {
  if (bytes <= 1024) {
    size_t lines = std::max<size_t>(1, (bytes + 63) / 64);
    return {lines * 64, lines - 1};
  }
  size_t octave = std::bit_width(bytes - 1) - 1, quarter = (size_t{1} << octave) / 4;  // octave: 10 and up
  size_t quarters = (bytes + quarter - 1) / quarter;                                   // 5 to 8
  return {quarters * quarter, 16 + (octave - 10) * 4 + quarters - 5};
}

void* Pool::allocate(size_t bytes) {
  auto [size, index] = class_of(bytes);
  std::lock_guard lock(mutex_);
  std::vector<void*>& list = free_[index].blocks;
  void* p;
  if (!list.empty()) {
    ++stats_.hits;
    p = list.back();
    list.pop_back();
  } else {
    p = allocate_or_trim(size);  // may throw: nothing is counted before
    stats_.reserved += size;
  }
  ++stats_.allocations;
  stats_.in_use += size;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return p;
}

void Pool::release(void* p, size_t bytes) {
  auto [size, index] = class_of(bytes);
  std::lock_guard lock(mutex_);
  stats_.in_use -= size;
  free_[index].size = size;
  free_[index].blocks.push_back(p);
}

// Cached blocks of other sizes may be what the source lacks.
void* Pool::allocate_or_trim(size_t size) {
  try {
    return source_.allocate(size);
  } catch (const OutOfMemory&) {
    if (!trim_locked()) throw;
    return source_.allocate(size);
  }
}

void Pool::trim() {
  std::lock_guard lock(mutex_);
  trim_locked();
}

bool Pool::trim_locked() {
  int64_t before = stats_.reserved;
  for (auto& [size, blocks] : free_) {
    for (void* p : blocks) source_.release(p, size);
    stats_.reserved -= size * blocks.size();
    blocks.clear();
  }
  return stats_.reserved < before;
}

PoolStats Pool::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void Pool::reset_peak() {
  std::lock_guard lock(mutex_);
  stats_.peak = stats_.in_use;
}

}  // namespace ds

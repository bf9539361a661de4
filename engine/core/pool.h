// A caching memory pool: freed blocks wait in lists by size class, so that a training step allocates nothing from the
// system after its first run. Thread-safe.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace ds {

struct PoolStats {
  int64_t in_use = 0;       // bytes handed out now, rounded to their classes
  int64_t peak = 0;         // highest in_use since reset_peak()
  int64_t reserved = 0;     // bytes held from the system
  int64_t allocations = 0;  // calls
  int64_t hits = 0;         // served from a list
};

// Where a pool gets its memory: the host, a GPU, or nowhere (the null device, which counts only).
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual void* allocate(size_t bytes) = 0;  // 64-byte aligned; throws OutOfMemory naming the size
  virtual void release(void* p, size_t bytes) = 0;
};

class Pool {
 public:
  explicit Pool(MemorySource& source) : source_(source) {}
  ~Pool() { trim(); }
  void* allocate(size_t bytes);
  void release(void* p, size_t bytes);  // the bytes that were asked for
  void trim();                          // gives cached blocks back to the system
  PoolStats stats() const;
  void reset_peak();

  // Four classes an octave above 1 KiB, multiples of 64 below: at most 25 % is lost to rounding.
  static size_t size_class(size_t bytes) { return class_of(bytes).size; }

 private:
  struct Class {
    size_t size, index;
  };
  struct List {
    size_t size = 0;
    std::vector<void*> blocks;
  };
  static Class class_of(size_t bytes);
  void* allocate_or_trim(size_t size);
  bool trim_locked();  // whether anything was given back

  MemorySource& source_;
  mutable std::mutex mutex_;
  std::array<List, 16 + 4 * 54> free_;  // by class
  PoolStats stats_;
};

MemorySource& host_memory();
MemorySource& null_memory();

}  // namespace ds

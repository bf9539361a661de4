// Collectives' side of shared memory: which addresses peers can reach, where peers' data lies here, and one
// collective's view of what its ranks have posted.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/comm/registry.h"
#include "engine/comm/transport.h"

namespace ds::comm {

// The buffers of a rank. Thread-safe, because a buffer may be let go on any thread; outlives the communicator with
// them.
class BufferTable {
 public:
  struct Place {
    uint32_t segment, generation;
    uint64_t offset;
  };
  explicit BufferTable(ControlBlock* own) : own_(own) {}
  void add(const Segment&);  // exports it where memory is shared
  void remove(const Segment&);
  void close();  // the control block is going away
  std::optional<Place> locate(const void* data, size_t bytes);

 private:
  struct Entry {
    uintptr_t end;
    uint32_t segment, generation;
  };
  std::mutex mutex_;
  ControlBlock* own_;
  std::map<uintptr_t, Entry> by_begin_;
  std::vector<uint32_t> free_;
  uint32_t next_ = 0, generation_ = 0;
};

class SharedMemory {
 public:
  explicit SharedMemory(Transport&);
  ~SharedMemory();
  std::shared_ptr<Buffer> allocate(size_t bytes);
  Transport& transport() { return transport_; }
  ControlBlock& own() { return *blocks_[transport_.rank()]; }
  ControlBlock& block(int rank) { return *blocks_[rank]; }

  std::optional<BufferTable::Place> locate(const void* data, size_t bytes) { return table_->locate(data, bytes); }
  // Where a peer's posted data lies in this process; maps its segment on first sight.
  std::byte* at(int rank, const Descriptor&, uint64_t slot);

  // A registered buffer to stage other memory in, of at least `bytes`; goes back to the pool with the last owner.
  std::shared_ptr<Buffer> staging(size_t bytes);

  uint64_t next_sequence() { return ++sequence_; }
  uint64_t sequence() const { return sequence_; }
  // Rank that has not finished with `sequence` yet, or kReady.
  int unretired(uint64_t sequence);
  void retire(uint64_t sequence);
  void ring();  // wakes the peers that sleep

 private:
  struct Mapped {
    uint32_t generation = 0;
    std::shared_ptr<Mapping> mapping;
  };
  void drop_stale_mappings();

  Transport& transport_;
  std::vector<ControlBlock*> blocks_;  // empty where memory is not shared
  std::shared_ptr<BufferTable> table_;
  std::vector<std::vector<Mapped>> mapped_;  // by rank, by export
  std::multimap<size_t, std::shared_ptr<Buffer>> pool_;
  uint64_t sequence_ = 0, all_retired_ = 0;
};

// One collective over shared memory, from one rank's seat. Lives in the algorithm's coroutine.
class SharedCall {
 public:
  SharedCall(SharedMemory&, const Call&, const char* algorithm);

  // Posts go in order, and a slot is used again when every rank is through with what it held.
  int slot_busy() {
    if (memory_.own().posted.load(std::memory_order_relaxed) != sequence_ - 1) return rank_;
    return memory_.unretired(sequence_ > kSlots ? sequence_ - kSlots : 0);
  }
  // Shows peers `data` where it lies, or a staged copy where they cannot reach it. Call once slot_busy() is ready.
  void post(const void* data, size_t bytes);
  void post_inline(const void* data, size_t bytes);  // at most kInline
  int unposted();  // first rank that has not posted; checks that all ranks mean the same call
  std::byte* at(int rank);
  bool staged() const { return staged_ != nullptr; }

  // Work shared out in blocks. finish() counts blocks this rank has done; unfinished(total) names a rank that owes
  // some.
  bool claim(int rank, uint32_t& block, uint32_t blocks);
  void finish(uint32_t blocks) {
    finished_ += blocks;
    slot(rank_).finished.store(finished_, std::memory_order_release);
  }
  void publish();  // makes finish() known to sleepers
  int unfinished(uint32_t total);
  int unfinished_ranks() { return unfinished(size_); }

 private:
  Slot& slot(int rank) { return memory_.block(rank).slots[sequence_ % kSlots]; }
  void announce(Descriptor);
  void check(int rank);

  SharedMemory& memory_;
  const Call& call_;
  const char* algorithm_;
  int rank_, size_;
  uint64_t sequence_;
  int next_ = 0;  // ranks below have posted
  uint32_t finished_ = 0;
  std::shared_ptr<Buffer> staged_;
  std::byte* mine_ = nullptr;  // what this rank posted
};

}  // namespace ds::comm

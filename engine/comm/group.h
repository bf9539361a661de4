// The ranks of a communicator as an algorithm sees them.
#pragma once
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "engine/comm/shared_memory.h"

namespace ds::comm {

// Costs of one message between two ranks, and of flags and copies in shared memory. Seconds and seconds a byte.
struct Model {
  double message = 5e-6, message_byte = 0.25e-9;
  double flag = 0.2e-6, memory_byte = 0.05e-9;  // an agreement of all ranks; a byte moved to or from memory
};

class Group {
 public:
  explicit Group(std::unique_ptr<Transport>);
  int rank() const { return rank_; }
  int size() const { return size_; }
  bool shares_memory() const { return shares_memory_; }
  const Model& model() const { return model_; }
  Transport& transport() { return *transport_; }
  SharedMemory& memory() { return memory_; }

  // The caller is blocked and has polled in vain for a while: an algorithm may do the work of ranks that are late.
  bool idle() const { return idle_; }
  void set_idle(bool idle) { idle_ = idle; }
  // How long it has been worth spinning lately; see Patience.
  int spins() const { return spins_; }
  void set_spins(int spins) { spins_ = spins; }

 private:
  std::unique_ptr<Transport> transport_;
  int rank_, size_;
  bool shares_memory_, idle_ = false;
  int spins_ = 1024;
  Model model_;
  SharedMemory memory_;
};

// The messages of one collective.
class Messages {
 public:
  Messages(Group& group, const Call& call) : transport_(group.transport()), sequence_(call.sequence) {}
  Request send(int peer, const void* data, size_t bytes) { return transport_.send(peer, tag(), data, bytes); }
  Request receive(int peer, void* data, size_t bytes) { return transport_.receive(peer, tag(), data, bytes); }

 private:
  uint64_t tag() const { return (1ull << 40) | (sequence_ & 0xffffffffu); }
  Transport& transport_;
  uint64_t sequence_;
};

inline uint64_t user_tag(uint32_t tag) { return (2ull << 40) | tag; }

// kReady when all are through, else the peer of the first that is not.
inline int pending(std::span<Request> requests) {
  for (Request& r : requests) {
    if (const int peer = r.pending(); peer != kReady) return peer;
  }
  return kReady;
}

// memmove, but nothing to copy may lie nowhere.
inline void copy_bytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}

inline std::unique_ptr<std::byte[]> scratch(size_t bytes) { return std::make_unique_for_overwrite<std::byte[]>(bytes); }

// Elements [begin, end) of rank's part when `count` elements are shared out over the ranks, cut at cache lines.
struct Part {
  size_t begin, end;
  size_t count() const { return end - begin; }
};
Part part(size_t count, size_t element_bytes, int rank, int size);

}  // namespace ds::comm

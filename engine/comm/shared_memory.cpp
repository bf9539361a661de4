#include "engine/comm/shared_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/comm/futex.h"
#include "engine/comm/reduce.h"

namespace ds::comm {
namespace {

class RegisteredBuffer final : public Buffer {
 public:
  RegisteredBuffer(std::shared_ptr<Segment> segment, std::shared_ptr<BufferTable> table)
      : segment_(std::move(segment)), table_(std::move(table)) {
    table_->add(*segment_);
  }
  ~RegisteredBuffer() override { table_->remove(*segment_); }
  void* data() override { return segment_->data(); }
  size_t bytes() const override { return segment_->bytes(); }

 private:
  std::shared_ptr<Segment> segment_;
  std::shared_ptr<BufferTable> table_;
};

class EmptyBuffer final : public Buffer {
 public:
  void* data() override { return nullptr; }
  size_t bytes() const override { return 0; }
};

uint32_t signature(const Call& call, const char* algorithm) {
  uint32_t h = 2166136261u;  // FNV-1a
  auto mix = [&h](uint32_t v) { h = (h ^ v) * 16777619u; };
  mix(static_cast<uint32_t>(call.collective));
  mix(static_cast<uint32_t>(call.type));
  mix(static_cast<uint32_t>(call.op));
  mix(static_cast<uint32_t>(call.root));
  for (const char* c = algorithm; *c; ++c) mix(static_cast<unsigned char>(*c));
  return h;
}

}  // namespace

void BufferTable::add(const Segment& segment) {
  std::lock_guard lock(mutex_);
  Entry entry{reinterpret_cast<uintptr_t>(const_cast<Segment&>(segment).data()) + segment.bytes(), 0, 0};
  if (own_) {
    if (free_.empty() && next_ == kExports) {
      throw CommError("[allocate] this rank holds " + std::to_string(kExports) + " buffers, the most there can be");
    }
    entry.segment = free_.empty() ? next_++ : free_.back();
    if (!free_.empty()) free_.pop_back();
    entry.generation = ++generation_ ? generation_ : ++generation_;
    Export& e = own_->exports[entry.segment];
    e.handle_bytes = static_cast<uint32_t>(segment.handle().size());
    std::memcpy(e.handle.data(), segment.handle().data(), segment.handle().size());
    e.generation.store(entry.generation, std::memory_order_release);
  }
  by_begin_[entry.end - segment.bytes()] = entry;
}

void BufferTable::remove(const Segment& segment) {
  std::lock_guard lock(mutex_);
  const auto it = by_begin_.find(reinterpret_cast<uintptr_t>(const_cast<Segment&>(segment).data()));
  if (own_) {
    own_->exports[it->second.segment].generation.store(0, std::memory_order_release);
    free_.push_back(it->second.segment);
  }
  by_begin_.erase(it);
}

void BufferTable::close() {
  std::lock_guard lock(mutex_);
  own_ = nullptr;
}

std::optional<BufferTable::Place> BufferTable::locate(const void* data, size_t bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  std::lock_guard lock(mutex_);
  auto it = by_begin_.upper_bound(begin);
  if (it == by_begin_.begin()) return std::nullopt;
  --it;
  if (begin + bytes > it->second.end || begin >= it->second.end) return std::nullopt;
  return Place{it->second.segment, it->second.generation, begin - it->first};
}

SharedMemory::SharedMemory(Transport& transport) : transport_(transport) {
  if (transport.shares_memory()) {
    for (int r = 0; r < transport.size(); ++r) blocks_.push_back(transport.control(r));
  }
  table_ = std::make_shared<BufferTable>(blocks_.empty() ? nullptr : blocks_[transport.rank()]);
  mapped_.resize(transport.size());
}

SharedMemory::~SharedMemory() {
  pool_.clear();
  table_->close();
}

std::shared_ptr<Buffer> SharedMemory::allocate(size_t bytes) {
  drop_stale_mappings();
  if (bytes == 0) return std::make_shared<EmptyBuffer>();
  return std::make_shared<RegisteredBuffer>(transport_.allocate(bytes), table_);
}

std::byte* SharedMemory::at(int rank, const Descriptor& d, uint64_t slot) {
  if (d.segment == kInlined) return blocks_[rank]->payload[slot].data();
  auto& of_rank = mapped_[rank];
  if (d.segment >= of_rank.size()) of_rank.resize(d.segment + 1);
  Mapped& m = of_rank[d.segment];
  if (m.generation != d.generation) {
    const Export& e = blocks_[rank]->exports[d.segment];
    m.mapping = transport_.map(rank, {e.handle.data(), e.handle_bytes});
    m.generation = d.generation;
  }
  return m.mapping->data() + d.offset;
}

void SharedMemory::drop_stale_mappings() {
  for (size_t r = 0; r < blocks_.size(); ++r) {
    for (size_t i = 0; i < mapped_[r].size(); ++i) {
      Mapped& m = mapped_[r][i];
      if (m.mapping && blocks_[r]->exports[i].generation.load(std::memory_order_acquire) != m.generation) m = {};
    }
  }
}

std::shared_ptr<Buffer> SharedMemory::staging(size_t bytes) {
  auto it = pool_.lower_bound(bytes);
  if (it == pool_.end()) {
    pool_.clear();  // one that grew replaces the smaller ones
    it = pool_.emplace(std::bit_ceil(std::max<size_t>(bytes, 1 << 16)), nullptr);
    it->second = allocate(it->first);
  }
  std::shared_ptr<Buffer> buffer = std::move(it->second);
  const size_t size = it->first;
  pool_.erase(it);
  // The pool gets it back when the collective lets go; the communicator outlives its collectives.
  return {buffer.get(), [this, buffer, size](Buffer*) mutable { pool_.emplace(size, std::move(buffer)); }};
}

int SharedMemory::unretired(uint64_t sequence) {
  if (all_retired_ >= sequence) return kReady;
  uint64_t least = ~0ull;
  for (size_t r = 0; r < blocks_.size(); ++r) {
    const uint64_t retired = blocks_[r]->retired.load(std::memory_order_seq_cst);
    if (retired < sequence) return static_cast<int>(r);
    least = std::min(least, retired);
  }
  all_retired_ = least;
  return kReady;
}

void SharedMemory::retire(uint64_t sequence) {
  own().retired.store(sequence, std::memory_order_release);
  // Peers wait for this only when they are kSlots ahead, and then look again within a sleep's limit.
}

void SharedMemory::ring() {
  for (size_t r = 0; r < blocks_.size(); ++r) {
    if (blocks_[r]->sleeping.load(std::memory_order_seq_cst) == 0) continue;
    blocks_[r]->doorbell.fetch_add(1);
    futex_wake(blocks_[r]->doorbell);
  }
}

SharedCall::SharedCall(SharedMemory& memory, const Call& call, const char* algorithm)
    : memory_(memory),
      call_(call),
      algorithm_(algorithm),
      rank_(memory.transport().rank()),
      size_(memory.transport().size()),
      sequence_(memory.next_sequence()) {}

void SharedCall::announce(Descriptor d) {
  d.signature = signature(call_, algorithm_);
  d.count = call_.count;
  d.peer_count = static_cast<uint32_t>(size_);
  Slot& mine = slot(rank_);
  mine.descriptor = d;
  mine.claimed.store(0, std::memory_order_relaxed);
  mine.finished.store(0, std::memory_order_relaxed);
  memory_.own().posted.store(sequence_, std::memory_order_seq_cst);
  memory_.ring();
}

void SharedCall::post(const void* data, size_t bytes) {
  Descriptor d{};
  d.bytes = bytes;
  auto place = memory_.locate(data, bytes);
  if (!place && bytes > 0) {
    staged_ = memory_.staging(bytes);
    std::memcpy(staged_->data(), data, bytes);
    place = memory_.locate(staged_->data(), bytes);
  }
  mine_ = static_cast<std::byte*>(staged_ ? staged_->data() : const_cast<void*>(data));
  if (place) {
    d.segment = place->segment;
    d.generation = place->generation;
    d.offset = place->offset;
  } else {
    d.segment = kInlined;  // nothing to show
  }
  announce(d);
}

void SharedCall::post_inline(const void* data, size_t bytes) {
  Descriptor d{};
  d.bytes = bytes;
  d.segment = kInlined;
  mine_ = memory_.own().payload[sequence_ % kSlots].data();
  if (bytes > 0) std::memcpy(mine_, data, bytes);
  announce(d);
}

int SharedCall::unposted() {
  for (; next_ < size_; ++next_) {
    if (memory_.block(next_).posted.load(std::memory_order_seq_cst) < sequence_) return next_;
    check(next_);
  }
  return kReady;
}

void SharedCall::check(int rank) {
  const Descriptor& theirs = slot(rank).descriptor;
  const Descriptor& mine = slot(rank_).descriptor;
  if (theirs.signature == mine.signature && theirs.count == mine.count) return;
  throw CommError(std::string("[") + name_of(call_.collective) + "] ranks disagree about call " +
                  std::to_string(sequence_) + ": rank " + std::to_string(rank_) + " has " +
                  std::to_string(call_.count) + " x " + ds::name_of(call_.type) + " " + name_of(call_.op) + " by " +
                  algorithm_ + ", rank " + std::to_string(rank) + " has " + std::to_string(theirs.count) +
                  " elements of " + (theirs.signature == mine.signature ? "the same" : "another kind of call"));
}

std::byte* SharedCall::at(int rank) {
  return rank == rank_ ? mine_ : memory_.at(rank, slot(rank).descriptor, sequence_ % kSlots);
}

bool SharedCall::claim(int rank, uint32_t& block, uint32_t blocks) {
  std::atomic<uint32_t>& claimed = slot(rank).claimed;
  if (claimed.load(std::memory_order_relaxed) >= blocks) return false;
  block = claimed.fetch_add(1, std::memory_order_relaxed);
  return block < blocks;
}

void SharedCall::publish() {
  slot(rank_).finished.store(finished_, std::memory_order_seq_cst);
  memory_.ring();
}

int SharedCall::unfinished(uint32_t total) {
  uint32_t sum = 0;
  int least = kReady;
  uint32_t fewest = ~0u;
  for (int r = 0; r < size_; ++r) {
    const uint32_t finished = slot(r).finished.load(std::memory_order_seq_cst);
    sum += finished;
    if (finished < fewest && r != rank_) {
      fewest = finished;
      least = r;
    }
  }
  return sum >= total ? kReady : least;
}

}  // namespace ds::comm

#include "engine/data/loader.h"

#include <cstdlib>
#include <new>
#include <utility>

namespace ds::data {
namespace {

constexpr size_t kAlignment = 64;

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocate(size_t bytes) {
  void* p = std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
  if (p == nullptr) throw std::bad_alloc();
  return Memory(p);
}

}  // namespace

struct Loader::Slot {
  Batch batch;
  std::vector<int64_t> indices;
  Memory inputs, targets;
};

Loader::Loader(const Dataset& dataset, Sampler sampler, int64_t part, int64_t parts, int64_t first_step, int read_ahead)
    : dataset_(dataset), sampler_(std::move(sampler)), part_(part), parts_(parts), step_(first_step) {
  part_of({}, part, parts);  // refuses an impossible part
  // No part is longer than this. One slot more than is read ahead: the batch that the caller holds.
  const auto samples = static_cast<size_t>((sampler_.batch_size() + parts - 1) / parts);
  for (int i = 0; i <= read_ahead; ++i) {
    auto slot = std::make_unique<Slot>();
    slot->inputs = allocate(offsets_of(dataset.inputs(), samples).back());
    slot->targets = allocate(offsets_of(dataset.targets(), samples).back());
    slots_.push_back(std::move(slot));
  }
  if (read_ahead > 0) thread_ = std::thread([this] { run(); });
}

Loader::~Loader() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Loader::fill(Slot& slot) {
  const std::span<const int64_t> global = sampler_.batch(step_);
  const std::span<const int64_t> mine = part_of(global, part_, parts_);
  slot.indices.assign(mine.begin(), mine.end());  // the sampler's own go away with the epoch
  dataset_.read(slot.indices, slot.inputs.get(), slot.targets.get());
  slot.batch = {step_,
                sampler_.epoch_of(step_),
                slot.indices,
                slot.inputs.get(),
                slot.targets.get(),
                static_cast<int64_t>(global.size()),
                sample_hash(global)};
  ++step_;
}

void Loader::run() {
  const auto capacity = static_cast<int64_t>(slots_.size());
  while (true) {
    {
      std::unique_lock lock(mutex_);
      // The caller holds batch read_ - 1, whose slot is the last to be written again.
      changed_.wait(lock, [&] { return stop_ || written_ - read_ < capacity - (read_ > 0 ? 1 : 0); });
      if (stop_) return;
    }
    std::exception_ptr error;
    try {
      fill(*slots_[static_cast<size_t>(written_ % capacity)]);
    } catch (...) {
      error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      error_ = error;
      if (!error) ++written_;
    }
    changed_.notify_all();
    if (error) return;
  }
}

const Batch& Loader::next() {
  if (!thread_.joinable()) {
    fill(*slots_[0]);
    return slots_[0]->batch;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return written_ > read_ || error_; });
  if (written_ == read_) std::rethrow_exception(error_);
  const Slot& slot = *slots_[static_cast<size_t>(read_++ % static_cast<int64_t>(slots_.size()))];
  lock.unlock();
  changed_.notify_all();
  return slot.batch;
}

}  // namespace ds::data

#include "engine/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "engine/data/dataset.h"
#include "engine/data/philox.h"

namespace ds::data {
namespace {

// The 64-bit words of one epoch's stream, one after the other.
class Stream {
 public:
  Stream(uint64_t seed, int64_t epoch) : seed_(seed), epoch_(static_cast<uint64_t>(epoch)) {}

  uint64_t next() {
    if (used_ == 2) {
      block_ = philox({static_cast<uint32_t>(count_), static_cast<uint32_t>(count_ >> 32),
                       static_cast<uint32_t>(epoch_), static_cast<uint32_t>(epoch_ >> 32)},
                      seed_);
      ++count_;
      used_ = 0;
    }
    const size_t at = 2 * static_cast<size_t>(used_++);
    return block_[at] | static_cast<uint64_t>(block_[at + 1]) << 32;
  }

  // Uniform in [0, bound), without bias: the high half of a 128-bit product, retried in the uneven part. That part is
  // below `bound`, so the division is hardly ever needed.
  uint64_t below(uint64_t bound) {
    while (true) {
      const auto product = static_cast<unsigned __int128>(next()) * bound;
      const auto low = static_cast<uint64_t>(product);
      if (low >= bound || low >= -bound % bound) return static_cast<uint64_t>(product >> 64);
    }
  }

 private:
  uint64_t seed_, epoch_, count_ = 0;
  PhiloxBlock block_{};
  int used_ = 2;
};

}  // namespace

std::vector<int64_t> permutation(int64_t n, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  Stream stream(seed, epoch);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

uint64_t sample_hash(std::span<const int64_t> indices) {
  uint64_t sum = 0;
  for (int64_t index : indices) sum += splitmix64(static_cast<uint64_t>(index));
  return sum;
}

std::span<const int64_t> part_of(std::span<const int64_t> batch, int64_t index, int64_t parts) {
  if (index < 0 || index >= parts) {
    throw DataError("[part_of] part " + std::to_string(index) + " of " + std::to_string(parts));
  }
  const auto n = static_cast<int64_t>(batch.size());
  const int64_t begin = n * index / parts, end = n * (index + 1) / parts;
  return batch.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

Sampler::Sampler(int64_t samples, int64_t batch_size, uint64_t seed, bool shuffle)
    : samples_(samples), batch_size_(batch_size), seed_(seed), shuffle_(shuffle) {
  if (batch_size < 1 || batch_size > samples) {
    throw DataError("[sampler] batch_size is " + std::to_string(batch_size) + ", it must be in [1, " +
                    std::to_string(samples) + "], the samples there are");
  }
}

std::span<const int64_t> Sampler::batch(int64_t step) {
  if (step < 0) throw DataError("[sampler] step is " + std::to_string(step));
  if (const int64_t epoch = epoch_of(step); epoch != epoch_) {
    if (shuffle_) {
      order_ = permutation(samples_, seed_, epoch);
    } else if (order_.empty()) {
      order_.resize(static_cast<size_t>(samples_));
      std::iota(order_.begin(), order_.end(), int64_t{0});
    }
    epoch_ = epoch;
  }
  return std::span<const int64_t>(order_).subspan(static_cast<size_t>(position_of(step) * batch_size_),
                                                  static_cast<size_t>(batch_size_));
}

}  // namespace ds::data

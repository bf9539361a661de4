// Which samples make up which step. A pure function of (samples, batch size, seed, step): nothing has to be saved but
// the step, and a resumed run sees what an unbroken one would have seen.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace ds::data {

// A random permutation of [0, n) for (seed, epoch): Fisher-Yates over Philox, the same bits on every platform.
std::vector<int64_t> permutation(int64_t n, uint64_t seed, int64_t epoch);

// Sum of splitmix64(index) mod 2^64: the order and the split over ranks do not change it.
uint64_t sample_hash(std::span<const int64_t> indices);

// Contiguous part `index` of `parts`: [n*index/parts, n*(index+1)/parts). Sizes differ by at most one, and parts nest:
// part r of R is the union of parts r*k ... r*k+k-1 of R*k. So ranks of virtual shards come out the same for any number
// of ranks.
std::span<const int64_t> part_of(std::span<const int64_t> batch, int64_t index, int64_t parts);

class Sampler {
 public:
  // Each epoch is a fresh permutation cut into global batches; the last, partial batch is dropped (so an epoch uses
  // steps_per_epoch() * batch_size samples, each once). Throws DataError when batch_size < 1 or > samples.
  // shuffle = false keeps the order of the dataset.
  Sampler(int64_t samples, int64_t batch_size, uint64_t seed, bool shuffle = true);

  int64_t batch_size() const { return batch_size_; }
  int64_t steps_per_epoch() const { return samples_ / batch_size_; }
  uint64_t seed() const { return seed_; }
  // `step` counts from 0 over all epochs.
  int64_t epoch_of(int64_t step) const { return step / steps_per_epoch(); }
  int64_t position_of(int64_t step) const { return step % steps_per_epoch(); }

  // Indices of the global batch of `step`. Valid until a call for another epoch; O(samples) at the first call of an
  // epoch, O(1) within it.
  std::span<const int64_t> batch(int64_t step);

 private:
  int64_t samples_, batch_size_;
  uint64_t seed_;
  bool shuffle_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

}  // namespace ds::data

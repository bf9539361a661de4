// Sets whose content is a function of their step, so that any set that loads can be checked whole.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/io/checkpoint.h"

namespace ds::testing {

inline io::TrainingState state_of(int64_t step) {
  io::TrainingState state;
  state.step = step;
  state.epoch = step / 10;
  state.position = step % 10;
  state.seed = ~uint64_t{0} - static_cast<uint64_t>(step);
  state.optimizer_step = step;
  state.world_size = 2;
  state.schedule = R"({"name": "cosine", "min_lr": 1e-5})";
  state.extra = {{"rng", std::to_string(step)}};
  return state;
}

class Tensors {
 public:
  Tensors(int64_t step, int rank, size_t elements = 1000) : weights_(elements), counts_{step, rank} {
    for (size_t i = 0; i < elements; ++i) weights_[i] = static_cast<float>(step) + static_cast<float>(i) * 0.5f;
  }
  std::vector<io::TensorView> views() const {
    const std::string rank = std::to_string(counts_[1]);
    return {{"weights." + rank, DType::f32, {static_cast<int64_t>(weights_.size())}, weights_.data()},
            {"counts." + rank, DType::i64, {2}, counts_.data()}};
  }
  std::vector<float>& weights() { return weights_; }

 private:
  std::vector<float> weights_;
  std::vector<int64_t> counts_;
};

// Writes and commits a whole set of `world` shards.
inline std::string make_set(const std::string& dir, int64_t step, int64_t generation = 0, int keep = 100, int world = 2,
                            size_t elements = 1000) {
  std::vector<io::ShardReport> reports;
  for (int rank = 0; rank < world; ++rank) {
    const Tensors tensors(step, rank, elements);
    reports.push_back(io::write_shard(dir, step, generation, rank, world, tensors.views()));
  }
  return io::commit(dir, generation, state_of(step), reports, keep);
}

inline void expect_set(const io::Checkpoint& set, int world = 2, size_t elements = 1000) {
  const int64_t step = set.state().step;
  EXPECT_EQ(set.state(), state_of(step));
  ASSERT_EQ(set.shards().size(), static_cast<size_t>(world));
  for (int rank = 0; rank < world; ++rank) {
    const Tensors expected(step, rank, elements);
    for (const io::TensorView& view : expected.views()) {
      const io::TensorView& read = set.tensor(view.name);
      ASSERT_EQ(read.shape, view.shape);
      ASSERT_EQ(std::memcmp(read.data, view.data, view.bytes()), 0) << view.name << " of step " << step;
    }
  }
}

}  // namespace ds::testing

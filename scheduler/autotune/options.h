// What a study may be told of its model and its search; the defaults are what docs/autotune-figures.md measures.
#pragma once
#include <vector>

namespace ds::autotune {

// Output transforms: none is best everywhere, so the surrogate averages over them.
enum class Warp { standard, half_rank, power };

struct SurrogateOptions {
  int chains_per_warp = 2;
  std::vector<Warp> warps = {Warp::standard, Warp::half_rank, Warp::power};
  double noise_deviation = 3;  // of the prior, as Kernel has it
  bool counts = true;          // of categories with the same choices, as Layout has them
  int leapfrogs = 5;
  int chains_per_update = 2;  // beyond `few` trials; all of them before
  int few = 24;
  bool modes = true;  // until then, and with numbers, the first chain of a transform is at its posterior's mode
};

struct ProposeOptions {
  int spread = 128;       // points of a low-discrepancy sequence
  int mutants = 128;      // of the best trials
  int rollouts = 64;      // of the policy, a round
  int policy_rounds = 2;  // 0: no policy
  int refined = 3;        // of the best candidates
  int rounds = 3;         // of steps along the numbers and exhaustive neighbours
  bool local = true;      // the arm of local quadratic steps may play
  double bold = 0.5;      // share of the model's suggestions that take its deviations for twice what they are
};

}  // namespace ds::autotune

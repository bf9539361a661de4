// Reinforcement learning where trials are free: a policy that writes a point parameter by parameter, trained by policy
// gradient on the surrogate's reward.
#pragma once
#include <Eigen/Dense>

#include "scheduler/autotune/space.h"

namespace ds::autotune {

// Softmax over the levels of each parameter, children after parents; numbers without levels, and those with many, have
// bins. It starts from how often the elites have each value.
class Policy {
 public:
  Policy(const Space& space, const std::vector<Point>& elites);

  Point sample(Random& random) const;
  // One REINFORCE step (Williams 1992): rewards count by rank, so their scale does not matter.
  void learn(const std::vector<Point>& points, const Eigen::VectorXd& rewards);
  double probability(int parameter, int bin) const { return softmax(parameter)[bin]; }

 private:
  int bin(int parameter, double coordinate) const;
  Eigen::VectorXd softmax(int parameter) const;

  const Space* space_;
  std::vector<Eigen::VectorXd> logits_;
};

}  // namespace ds::autotune

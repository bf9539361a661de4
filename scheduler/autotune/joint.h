// The expected improvement of two objectives at once, each measured and modelled, or known exactly.
#pragma once
#include "scheduler/autotune/hypervolume.h"
#include "scheduler/autotune/surrogate.h"

namespace ds::autotune {

// One of two objectives; more is better. Exactly one of the two is set.
struct Side {
  const Surrogate* model = nullptr;             // with pending points taken for known
  std::function<double(const Point&)> value{};  // what is known is not modelled
};

// log of the expected growth of the area that the trials dominate, averaged over the chains. Chains of two models are
// paired by weight, largest with largest, so that each counts as much as its model says.
class JointImprovement {
 public:
  // points: the trials and the pending ones, in the order in which the models have them.
  JointImprovement(Side first, Side second, const std::vector<Point>& points);

  VectorXd value(const std::vector<Point>& points) const;
  double value(const Point& point, VectorXd* slope) const;  // slope: of measured objectives, as Surrogate::log_ei's

 private:
  struct Couple {
    double weight;
    std::array<size_t, 2> chain;
    Front front;
  };
  void couple(const std::vector<Point>& points);
  VectorXd fitted(size_t side, size_t chain, const std::vector<Point>& points) const;

  std::array<Side, 2> sides_;
  std::array<std::vector<Surrogate::View>, 2> chains_;  // of what is known: none
  std::vector<Couple> couples_;
};

}  // namespace ds::autotune

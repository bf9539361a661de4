// Two objectives: the front of what is not dominated, and how much a point is expected to add to the area below it.
#pragma once
#include <array>
#include <vector>

namespace ds::autotune {

using Pair = std::array<double, 2>;  // more is better, in both

// Of a front from one end to the other, whichever way is better: its point farthest from the line between the ends,
// each objective in units of the front's extent. The first point where there is no such one.
size_t knee(const std::vector<Pair>& front);

struct Normal {
  double mean, deviation;  // deviation 0: it is known
};

class Front {
 public:
  // Keeps the points above the reference in both that no other dominates.
  Front(const std::vector<Pair>& points, Pair reference);

  const std::vector<Pair>& points() const { return points_; }  // the first objective rises, the second falls
  double area() const;                                         // dominated, above the reference

  // log of E[area with (u, v) - area], for independent u and v. The area is cut into one strip for each point of the
  // front along the first objective; in each the expectation is a product (as Yang, Emmerich et al. 2019). slope, if
  // given: by u's mean and deviation and v's mean and deviation, 0 for what is known.
  double log_improvement(Normal u, Normal v, std::array<double, 4>* slope = nullptr) const;

 private:
  Pair reference_;
  std::vector<Pair> points_;
};

}  // namespace ds::autotune

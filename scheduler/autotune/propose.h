// Where to look next: candidates from several sources, judged by the surrogate, the best ones refined.
#pragma once
#include <optional>

#include "scheduler/autotune/surrogate.h"

namespace ds::autotune {

// What makes a point worth a trial: more is better. `slope` is asked for where the numbers are refined.
struct Acquisition {
  std::function<VectorXd(const std::vector<Point>&)> value;
  std::function<double(const Point&, VectorXd* slope)> with_slope;  // empty: numbers move by trial and error
  std::function<bool(const Point&)> allowed;
};

struct Proposal {
  Point point;
  double value;
  std::string source;  // "spread", "mutant" or "policy": whose candidate it grew from
};

// The best allowed point that was found; elites are the trials to mutate, best first. nullopt: nothing is allowed.
std::optional<Proposal> propose(const Space& space, const Acquisition& acquisition, const std::vector<Point>& elites,
                                const ProposeOptions& options, Random& random);

// Every point that differs in one parameter that has levels (of numbers with many: the near ones and a few more).
std::vector<Point> neighbours(const Space& space, const Point& point, Random& random);

}  // namespace ds::autotune

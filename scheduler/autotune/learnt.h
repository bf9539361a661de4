// What a study has learnt from its trials: every objective, and where trials fail. Private to the study.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "scheduler/autotune/joint.h"
#include "scheduler/autotune/propose.h"
#include "scheduler/autotune/stopping.h"
#include "scheduler/autotune/study.h"

namespace ds::autotune {

inline constexpr double kNoisy = 0.02;  // share of the noise from which on values are noisy

struct Study::Learnt {
  struct Goal {
    double sign;  // -1: less is better
    Known known;
    std::optional<Surrogate> model;  // of what is measured
  };

  Learnt(std::shared_ptr<const Space> space, const StudyOptions& options);

  // deviation: of the first measured objective's value, where it is a guess.
  void told(const Point& point, const std::vector<double>& measured, double deviation);
  // What the first measured objective's trials came to or would come to, by their rows.
  void revised(const std::map<int, Forecast>& ends);
  void failed(const Point& point);

  const std::vector<Point>& points() const { return first().points(); }  // of the trials with values
  const Goal& main() const { return goals[main_]; }                      // the first measured objective
  const Surrogate& first() const { return *main().model; }
  int64_t measured() const {  // objectives
    return std::count_if(goals.begin(), goals.end(), [](const Goal& g) { return g.model.has_value(); });
  }
  double exact(const Goal& goal, const Point& point) const { return goal.sign * goal.known(*space, point); }
  VectorXd means(const Goal& goal) const;  // of the trials with values; more is better
  // Different points by posterior mean, best first; of two objectives, by the first and the second in turn.
  std::vector<Point> elites(size_t most) const;

  // How much a point promises; boldness as Surrogate has it. Copies what it needs but the space and this.
  Acquisition promise(const std::vector<Point>& pending, double demanded, double boldness, Random& random) const;

  std::shared_ptr<const Space> space;
  std::vector<Goal> goals;
  Surrogate feasible;  // of 1 where a trial ended with a value, 0 where it failed for good
  bool failures = false;
  std::map<Point, int> runs, hopeless;  // finished and failed trials, by point

 private:
  size_t main_ = 0;
  VectorXd chance(const std::vector<Point>& points) const;  // of ending with a value
};

}  // namespace ds::autotune

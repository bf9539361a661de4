// A quadratic model of the trials around the best one, in a region that shrinks where it fails: it converges fast where
// an objective is smooth and without noise, and where a Gaussian process only sees that all values are alike.
#pragma once
#include <optional>

#include <Eigen/Dense>

#include "scheduler/autotune/random.h"

namespace ds::autotune {

// The trials that a step is made of: one column a trial, and more is better.
struct Around {
  Eigen::MatrixXd points;
  Eigen::VectorXd values;
};

// Where the model is highest within `radius` of the best point along each coordinate, and within [0, 1]. The quadratic
// passes through the best and, of all that fit the others as well (nearer ones count more), has the least curvature
// (as Powell 2006). nullopt: there are fewer trials than the slope needs, or the step leads nowhere.
std::optional<Eigen::VectorXd> quadratic_step(const Around& around, double radius, Random& random);

// A point of the region that tells the model most: the others leave its value least certain.
std::optional<Eigen::VectorXd> telling_step(const Around& around, double radius, Random& random);

}  // namespace ds::autotune

// Climbing in the unit box by L-BFGS with projection.
#pragma once
#include <Eigen/Dense>
#include <functional>

namespace ds::autotune {

// Maximises f from x, within [0, 1] in every coordinate; f writes its gradient, which has x's size. At most `calls`
// calls of f. x becomes the best point seen; returns its value, never below that of the start.
double maximize_in_box(const std::function<double(const Eigen::VectorXd&, Eigen::VectorXd*)>& f, Eigen::VectorXd& x,
                       int calls);

}  // namespace ds::autotune

// An exact Gaussian process with given hyper-parameters.
#pragma once
#include "scheduler/autotune/kernel.h"

namespace ds::autotune {

struct Prediction {
  VectorXd mean, variance;  // of the function itself, without noise; one entry a column asked for
};

class Gp {
 public:
  Gp(const Kernel* kernel, VectorXd theta) : kernel_(kernel), theta_(std::move(theta)) {}

  // features: one column a point. extra: variance of each value beside the noise that all have; empty: none. O(n^3).
  void fit(const MatrixXd& features, const VectorXd& y, const VectorXd& extra = {});
  // One more point by a new row of the Cholesky factor. O(n^2).
  void append(const VectorXd& features, double y, double extra = 0);
  // Other values for the same points. O(n^2).
  void set_values(const VectorXd& y);

  int size() const { return static_cast<int>(y_.size()); }
  const VectorXd& theta() const { return theta_; }
  const VectorXd& values() const { return y_; }
  VectorXd fitted() const;  // the mean at its own points
  double noise() const { return std::exp(theta_[kernel_->noise()]); }

  Prediction predict(const MatrixXd& features) const;
  // At one point; slopes have one entry a parameter (0 for categories), by its place on its scale.
  void predict(const VectorXd& features, double* mean, double* variance, VectorXd* mean_slope,
               VectorXd* variance_slope) const;
  // log p(y | theta) + log prior(theta), and its gradient.
  double log_posterior(VectorXd* gradient) const;
  // Mean and variance (with noise) of each value as the others predict it (Sundararajan and Keerthi 2001). O(n^3).
  Prediction leave_one_out() const;

 private:
  void solve();
  MatrixXd inverse() const;

  const Kernel* kernel_;
  VectorXd theta_;
  MatrixXd scaled_, lower_;  // lower_ * lower_^T = K + noise
  VectorXd y_, alpha_, extra_;
};

}  // namespace ds::autotune

#include "scheduler/autotune/gp.h"

namespace ds::autotune {
namespace {

constexpr double kLeastVariance = 1e-12;

}  // namespace

void Gp::fit(const MatrixXd& features, const VectorXd& y, const VectorXd& extra) {
  scaled_ = kernel_->scale(theta_, features);
  y_ = y;
  extra_ = extra.size() > 0 ? extra : VectorXd::Zero(y.size());
  MatrixXd k = kernel_->cross(theta_, scaled_, scaled_);
  k.diagonal().array() += noise() + extra_.array();
  double jitter = 0;
  for (double next = 1e-10 * k.diagonal().maxCoeff();; next *= 10) {
    Eigen::LLT<MatrixXd> llt(k);
    if (llt.info() == Eigen::Success) {
      lower_ = llt.matrixL();
      break;
    }
    k.diagonal().array() += next - jitter;
    jitter = next;
  }
  solve();
}

void Gp::solve() {
  alpha_ = lower_.triangularView<Eigen::Lower>().solve(y_);
  lower_.triangularView<Eigen::Lower>().transpose().solveInPlace(alpha_);
}

VectorXd Gp::fitted() const { return y_.array() - (noise() + extra_.array()) * alpha_.array(); }

void Gp::append(const VectorXd& features, double y, double extra) {
  const Eigen::Index n = y_.size();
  const MatrixXd x = kernel_->scale(theta_, features);
  const VectorXd row = lower_.triangularView<Eigen::Lower>().solve(kernel_->cross(theta_, scaled_, x).col(0));
  const double rest = kernel_->variance(theta_, x.col(0)) + noise() + extra - row.squaredNorm();
  lower_.conservativeResize(n + 1, n + 1);
  lower_.col(n).setZero();
  lower_.row(n).head(n) = row.transpose();
  lower_(n, n) = std::sqrt(std::max(rest, kLeastVariance));
  scaled_.conservativeResize(Eigen::NoChange, n + 1);
  scaled_.col(n) = x.col(0);
  y_.conservativeResize(n + 1);
  y_[n] = y;
  extra_.conservativeResize(n + 1);
  extra_[n] = extra;
  solve();
}

void Gp::set_values(const VectorXd& y) {
  y_ = y;
  solve();
}

Prediction Gp::predict(const MatrixXd& features) const {
  const MatrixXd x = kernel_->scale(theta_, features);
  MatrixXd k = kernel_->cross(theta_, scaled_, x);
  Prediction out;
  out.mean = k.transpose() * alpha_;
  lower_.triangularView<Eigen::Lower>().solveInPlace(k);
  out.variance.resize(x.cols());
  for (Eigen::Index j = 0; j < x.cols(); ++j)
    out.variance[j] = std::max(kernel_->variance(theta_, x.col(j)) - k.col(j).squaredNorm(), kLeastVariance);
  return out;
}

void Gp::predict(const VectorXd& features, double* mean, double* variance, VectorXd* mean_slope,
                 VectorXd* variance_slope) const {
  const VectorXd x = kernel_->scale(theta_, features);
  const Kernel::Approach near = kernel_->approach(theta_, scaled_, x);
  VectorXd solved = lower_.triangularView<Eigen::Lower>().solve(near.k);
  *mean = near.k.dot(alpha_);
  *variance = std::max(kernel_->variance(theta_, x) - solved.squaredNorm(), kLeastVariance);
  lower_.triangularView<Eigen::Lower>().transpose().solveInPlace(solved);
  MatrixXd weights(near.k.size(), 2);
  weights << alpha_, -2 * solved;
  const MatrixXd slopes = kernel_->slope(theta_, scaled_, x, near, weights);
  *mean_slope = slopes.col(0);
  *variance_slope = slopes.col(1);
}

MatrixXd Gp::inverse() const {
  MatrixXd half = MatrixXd::Identity(y_.size(), y_.size());
  lower_.triangularView<Eigen::Lower>().solveInPlace(half);
  MatrixXd out = MatrixXd::Zero(y_.size(), y_.size());
  out.selfadjointView<Eigen::Lower>().rankUpdate(half.transpose());
  return out.selfadjointView<Eigen::Lower>();
}

double Gp::log_posterior(VectorXd* gradient) const {
  const VectorXd off = (theta_ - kernel_->prior_mean()).cwiseQuotient(kernel_->prior_sd());
  if (gradient) {
    const MatrixXd weights = (alpha_ * alpha_.transpose() - inverse()) / 2;
    *gradient = kernel_->derivative(theta_, scaled_, weights) - off.cwiseQuotient(kernel_->prior_sd());
  }
  return -0.5 * y_.dot(alpha_) - lower_.diagonal().array().log().sum() - 0.5 * off.squaredNorm();
}

Prediction Gp::leave_one_out() const {
  Prediction out;
  out.variance = inverse().diagonal().cwiseInverse();
  out.mean = y_ - alpha_.cwiseProduct(out.variance);
  return out;
}

}  // namespace ds::autotune

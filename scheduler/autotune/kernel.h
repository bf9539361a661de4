// The covariance of two points: Matern-5/2 over numbers, overlap over categories, their product, their sum, and one
// more term for each branch of a conditional space and for the counts of categories with the same choices.
#pragma once
#include "scheduler/autotune/features.h"

namespace ds::autotune {

using Eigen::ArrayXXd;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// theta: for each parameter log(length) or, of a category, log(weight), and for each count log(length); then log(noise
// variance), log(amplitude) of the product, of the sum (with numbers and categories), of the branches (conditional
// spaces), of the counts.
class Kernel {
 public:
  // noise_deviation: of the prior of log(noise variance) about -4.
  explicit Kernel(const Space& space, double noise_deviation = 3, bool counts = true);

  const Layout& layout() const { return layout_; }
  int size() const { return static_cast<int>(mean_.size()); }  // of theta
  int noise() const { return layout_.lengths(); }
  bool has_numbers() const { return has_numbers_; }

  // Independent normal priors of theta: lengths LogN(log(sqrt d) - 1/2, 0.9), which grow with d as those of Hvarfner,
  // Hellsten and Nardi (2024) but are shorter and less vague; weights of categories, which fall with the number of all
  // parameters, so that one of many does not decide alone; and noise LogN(-4, 3), as tasks without noise are common:
  // docs/autotune-figures.md has the ablation.
  const VectorXd& prior_mean() const { return mean_; }
  const VectorXd& prior_sd() const { return sd_; }

  // Features in units of the lengths: distances of its columns are what the covariance sees.
  MatrixXd scale(const VectorXd& theta, const MatrixXd& features) const;
  // Covariances of all columns of a with all of b, without noise.
  MatrixXd cross(const VectorXd& theta, const MatrixXd& a, const MatrixXd& b) const;
  double variance(const VectorXd& theta, const Eigen::Ref<const VectorXd>& x) const;  // of one column with itself
  // sum_ij weights_ij dK_ij/dtheta for K = cross(theta, a, a), and symmetric weights. Of the noise: the trace.
  VectorXd derivative(const VectorXd& theta, const MatrixXd& a, const MatrixXd& weights) const;
  // Covariances of the columns of a with one point, and what their slopes are made of.
  struct Approach {
    VectorXd k;
    std::vector<ArrayXXd> by_distance;  // dk / d(squared distance) of each block's numbers
  };
  Approach approach(const VectorXd& theta, const MatrixXd& a, const VectorXd& x) const;
  // d(weights' k)/d(place of each parameter on its scale); 0 for categories. One column a column of weights.
  MatrixXd slope(const VectorXd& theta, const MatrixXd& a, const VectorXd& x, const Approach& approach,
                 const MatrixXd& weights) const;

 private:
  struct Block {  // rows of the features, and the kernel over them alone
    std::vector<int> numbers, categories, members;
    int active = -1;    // a row that is 0 where the block is not active; -1: it always is
    int inactive = -1;  // or one that is 1 there
  };
  ArrayXXd presence(const Block& block, const MatrixXd& a, const MatrixXd& b) const;
  void spread(const std::vector<int>& rows, const MatrixXd& a, const MatrixXd& g, double sign, VectorXd& out) const;
  void lean(const std::vector<int>& rows, const VectorXd& theta, const MatrixXd& a, const VectorXd& x,
            const MatrixXd& v, MatrixXd& out) const;

  Layout layout_;
  int dims_ = 0, product_ = 0, sum_ = -1, branch_ = -1, counts_ = -1;
  bool has_numbers_ = false, has_categories_ = false;
  std::vector<Block> blocks_;           // [0] is the whole space; the rest are its branches
  std::vector<std::vector<int>> ties_;  // rows of each set of counts
  VectorXd mean_, sd_;
};

}  // namespace ds::autotune

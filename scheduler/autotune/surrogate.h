// What the trials so far say about the objective: Gaussian processes with sampled hyper-parameters, over several output
// transforms, weighted by how well each predicts the better half of the trials.
#pragma once
#include <map>
#include <memory>

#include "scheduler/autotune/gp.h"
#include "scheduler/autotune/improvement.h"
#include "scheduler/autotune/warp.h"

namespace ds::autotune {

class Surrogate {
 public:
  Surrogate(std::shared_ptr<const Space> space, SurrogateOptions options, uint64_t seed);

  // What is known of a trial; more is better. deviation: of a guess where it would end; 0: it has ended.
  struct Outcome {
    double value, deviation;
  };
  // One more trial. Moves some chains by a step of Hamiltonian Monte Carlo: a function of the seed and the order of the
  // trials alone.
  void add(const Point& point, double value, double deviation = 0);
  // More is known of trials that were added before, by their rows. Moves no chain.
  void revise(const std::map<int, Outcome>& outcomes);
  int size() const { return static_cast<int>(points_.size()); }
  const std::vector<Point>& points() const { return points_; }
  const VectorXd& observed() const { return y_; }
  bool guessed(int row) const { return deviation_[row] > 0; }

  // A copy that takes these unfinished points for known, each chain at a draw of its own prediction; its log_ei takes
  // deviations for `boldness` times what they are.
  Surrogate with_pending(const std::vector<Point>& pending, double boldness, Random& random) const;

  // log of the expected improvement over the best posterior mean, averaged over the chains; one entry a point.
  VectorXd log_ei(const MatrixXd& features) const;
  double log_ei(const VectorXd& features, VectorXd* slope) const;  // slope: by parameter, of its place on its scale

  // The chains that count, in their own units.
  struct View {
    const Gp* gp;
    double weight;  // they sum to 1
  };
  std::vector<View> views() const;

  // In units of the objective itself, averaged over the chains: of the trials' own points, without noise, and of
  // others; `noisy`: of a run there, with the noise in its variance.
  VectorXd means() const;
  Prediction predict(const MatrixXd& features, bool noisy = false) const;
  // The noise's share of the modelled variance, in [0, 1].
  double noise_share() const;
  std::vector<double> weights() const;  // of the chains; they sum to 1

  const Kernel& kernel() const { return *kernel_; }
  const Space& space() const { return *space_; }
  VectorXd encode(const Point& point) const;

 private:
  struct Chain {
    Warp warp;
    Gp gp;
    double step = 0.2, score = 0, best = 0, weight = 0;
    uint64_t moves = 0;
    VectorXd warped = {};  // the trials' values, before any pending ones
  };
  void update(Chain& chain);
  void settle(Chain& chain);
  void move(Chain& chain);
  void judge(Chain& chain, const Warped& warped);
  void weigh();
  double unwarp(const Chain& chain, double value) const;
  VectorXd extra(const VectorXd& warped) const;
  double incumbent(const Chain& chain) const;

  std::shared_ptr<const Space> space_;
  std::shared_ptr<const Kernel> kernel_;  // of all copies: the chains point to it
  SurrogateOptions options_;
  uint64_t seed_;
  std::vector<Point> points_;
  MatrixXd features_;
  VectorXd y_, deviation_;
  std::vector<int> sorted_;  // the trials by value
  std::vector<Chain> chains_;
  double boldness_ = 1;
};

}  // namespace ds::autotune

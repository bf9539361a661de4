#include "scheduler/autotune/surrogate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scheduler/autotune/lbfgs.h"

namespace ds::autotune {
namespace {

constexpr double kCounts = 0.02;    // the weight from which on a chain is asked
constexpr double kSharpness = 0.5;  // of the weights: the trials' densities are not independent evidence

constexpr double kReach = 4;  // of the search for a mode, in deviations of the priors
constexpr int kClimb = 12;    // its evaluations; the next trial's search goes on from there

// Where `value` of one scale lies on another, by what both say of the same trials, in the order of `sorted`: between
// them by a straight line, beyond them by the mean rate.
double carry(double value, const VectorXd& from, const VectorXd& to, const std::vector<int>& sorted) {
  const auto x = [&](size_t k) { return from[sorted[k]]; };
  const auto y = [&](size_t k) { return to[sorted[k]]; };
  const size_t last = sorted.size() - 1;
  const double rate = (y(last) - y(0)) / std::max(x(last) - x(0), 1e-12);
  if (value <= x(0)) return y(0) + (value - x(0)) * rate;
  if (value >= x(last)) return y(last) + (value - x(last)) * rate;
  size_t low = 0, high = last;
  while (high - low > 1) {
    const size_t mid = (low + high) / 2;
    (x(mid) <= value ? low : high) = mid;
  }
  const double gap = x(high) - x(low);
  return gap > 0 ? y(low) + (value - x(low)) / gap * (y(high) - y(low)) : y(high);
}

}  // namespace

Surrogate::Surrogate(std::shared_ptr<const Space> space, SurrogateOptions options, uint64_t seed)
    : space_(std::move(space)),
      kernel_(std::make_shared<Kernel>(*space_, options.noise_deviation, options.counts)),
      options_(std::move(options)),
      seed_(seed),
      features_(kernel_->layout().rows(), 0) {
  for (int c = 0; c < options_.chains_per_warp; ++c) {
    for (const Warp warp : options_.warps) {
      Random random(seed_, chains_.size());
      VectorXd theta = kernel_->prior_mean();
      for (Eigen::Index i = 0; i < theta.size(); ++i) theta[i] += 0.3 * c * kernel_->prior_sd()[i] * random.normal();
      chains_.push_back({.warp = warp, .gp = Gp(kernel_.get(), theta)});
    }
  }
}

void Surrogate::add(const Point& point, double value, double deviation) {
  const Eigen::Index n = features_.cols();
  points_.push_back(point);
  features_.conservativeResize(Eigen::NoChange, n + 1);
  kernel_->layout().encode(*space_, point, features_.col(n));
  y_.conservativeResize(n + 1);
  y_[n] = value;
  deviation_.conservativeResize(n + 1);
  deviation_[n] = deviation;
  const auto place =
      std::upper_bound(sorted_.begin(), sorted_.end(), value, [&](double v, int i) { return v < y_[i]; });
  sorted_.insert(place, static_cast<int>(n));
  std::vector<Warped> warped;
  for (int w = 0; w < kWarps; ++w) warped.push_back(warp(static_cast<Warp>(w), y_));
  const auto count = static_cast<int>(chains_.size());
  const int moving = size() <= options_.few ? count : options_.chains_per_update;
  for (int c = 0; c < count; ++c) {
    Chain& chain = chains_[static_cast<size_t>(c)];
    const Warped& own = warped[static_cast<size_t>(chain.warp)];
    const bool moves = ((c - size() * moving) % count + count) % count < moving && size() > 2;
    if (moves || n == 0) {
      chain.gp.fit(features_, own.values, extra(own.values));
      if (moves) update(chain);
      judge(chain, own);
    } else {  // the others' extra noise stays in the units of the last fit
      chain.gp.append(features_.col(n), own.values[n], extra(own.values)[n]);
      chain.gp.set_values(own.values);
    }
    chain.best = incumbent(chain);
    chain.warped = own.values;
  }
  weigh();
}

void Surrogate::revise(const std::map<int, Outcome>& outcomes) {
  for (const auto& [row, outcome] : outcomes) y_[row] = outcome.value, deviation_[row] = outcome.deviation;
  std::iota(sorted_.begin(), sorted_.end(), 0);
  std::stable_sort(sorted_.begin(), sorted_.end(), [&](int a, int b) { return y_[a] < y_[b]; });
  for (Chain& chain : chains_) {
    const Warped own = warp(chain.warp, y_);
    chain.gp.fit(features_, own.values, extra(own.values));
    judge(chain, own);
    chain.best = incumbent(chain);
    chain.warped = own.values;
  }
  weigh();
}

// The best posterior mean of what has ended; of guesses where nothing has.
double Surrogate::incumbent(const Chain& chain) const {
  const VectorXd means = chain.gp.fitted();
  const double least = (deviation_.array() == 0).any() ? 0 : deviation_.minCoeff();
  return (deviation_.array() <= least).select(means.array(), -1e300).maxCoeff();
}

// The variance, on a chain's scale, of what is but a guess.
VectorXd Surrogate::extra(const VectorXd& warped) const {
  VectorXd out = VectorXd::Zero(y_.size());
  for (Eigen::Index i = 0; i < y_.size(); ++i) {
    if (deviation_[i] == 0) continue;
    const double above = carry(y_[i] + deviation_[i], y_, warped, sorted_);
    const double off = (above - carry(y_[i] - deviation_[i], y_, warped, sorted_)) / 2;
    out[i] = off * off;
  }
  return out;
}

// Samples of a posterior that few trials hardly narrow are mostly the priors' own: where it has numbers, the first
// chain of each transform stands at the mode until there are more.
void Surrogate::update(Chain& chain) {
  const auto which = static_cast<size_t>(&chain - chains_.data());
  if (options_.modes && kernel_->has_numbers() && size() <= options_.few && which < options_.warps.size())
    settle(chain);
  else
    move(chain);
}

void Surrogate::settle(Chain& chain) {
  const VectorXd &unit = kernel_->prior_sd(), &mean = kernel_->prior_mean();
  const VectorXd y = chain.gp.values(), extra = this->extra(y);
  const auto at = [&](const VectorXd& place) {  // within the box of kReach deviations
    Gp out(kernel_.get(), mean + (2 * kReach * (place.array() - 0.5) * unit.array()).matrix());
    out.fit(features_, y, extra);
    return out;
  };
  VectorXd place = (chain.gp.theta() - mean).cwiseQuotient(unit).array() / (2 * kReach) + 0.5;
  const auto posterior = [&](const VectorXd& to, VectorXd* slope) {
    const double value = at(to).log_posterior(slope);
    *slope = 2 * kReach * slope->cwiseProduct(unit);
    return value;
  };
  maximize_in_box(posterior, place, kClimb);
  chain.gp = at(place);
}

// Hamiltonian Monte Carlo in units of the priors' deviations (Neal 2011), its step adapted.
void Surrogate::move(Chain& chain) {
  Random random(seed_ ^ 0x9d2c5680, static_cast<uint64_t>(&chain - chains_.data()) * 1000003 + chain.moves++);
  const VectorXd& unit = kernel_->prior_sd();
  VectorXd gradient, momentum(unit.size());
  for (Eigen::Index i = 0; i < unit.size(); ++i) momentum[i] = random.normal();
  Gp next = chain.gp;
  const double before = chain.gp.log_posterior(&gradient) - 0.5 * momentum.squaredNorm();
  const VectorXd y = chain.gp.values(), extra = this->extra(y);
  VectorXd theta = chain.gp.theta();
  double after = before;
  for (int k = 0; k < options_.leapfrogs; ++k) {
    momentum += 0.5 * chain.step * gradient.cwiseProduct(unit);
    theta += chain.step * momentum.cwiseProduct(unit);
    if (!((theta - kernel_->prior_mean()).cwiseQuotient(unit).cwiseAbs().maxCoeff() < 8)) {
      after = -1e300;
      break;
    }
    next = Gp(kernel_.get(), theta);
    next.fit(features_, y, extra);
    after = next.log_posterior(&gradient);
    momentum += 0.5 * chain.step * gradient.cwiseProduct(unit);
  }
  after -= 0.5 * momentum.squaredNorm();
  const double accept = std::isfinite(after) ? std::min(1.0, std::exp(after - before)) : 0;
  if (random.uniform() < accept) chain.gp = std::move(next);
  chain.step = std::clamp(chain.step * std::exp(0.3 * (accept - 0.75)), 1e-3, 0.6);
}

// The mean log density of the better half, each value as the others predict it, in units of the original.
void Surrogate::judge(Chain& chain, const Warped& warped) {
  const Prediction out = chain.gp.leave_one_out();
  double sum = 0;
  int count = 0;
  for (Eigen::Index i = 0; i < y_.size(); ++i) {
    if (!warped.better[static_cast<size_t>(i)]) continue;
    const double off = warped.values[i] - out.mean[i];
    sum += warped.log_slope[i] - 0.5 * (off * off / out.variance[i] + std::log(out.variance[i])) - kLogRoot2Pi;
    ++count;
  }
  chain.score = sum / std::max(count, 1);
}

void Surrogate::weigh() {
  double best = -1e300, total = 0;
  for (const Chain& c : chains_) best = std::max(best, c.score);
  for (Chain& c : chains_) total += c.weight = std::exp(kSharpness * 0.5 * size() * (c.score - best));
  for (Chain& c : chains_) c.weight /= total;
}

Surrogate Surrogate::with_pending(const std::vector<Point>& pending, double boldness, Random& random) const {
  Surrogate out = *this;
  out.boldness_ = boldness;
  for (const Point& point : pending) {
    const VectorXd x = encode(point);
    for (Chain& c : out.chains_) {
      const Prediction p = c.gp.predict(x);
      c.gp.append(x, p.mean[0] + std::sqrt(p.variance[0]) * random.normal());
    }
  }
  return out;
}

VectorXd Surrogate::encode(const Point& point) const {
  VectorXd out(kernel_->layout().rows());
  kernel_->layout().encode(*space_, point, out);
  return out;
}

VectorXd Surrogate::log_ei(const MatrixXd& features) const {
  Eigen::ArrayXd sum = Eigen::ArrayXd::Zero(features.cols());
  Eigen::ArrayXd top = Eigen::ArrayXd::Constant(features.cols(), -1e300);
  for (const Chain& c : chains_) {
    if (c.weight < kCounts) continue;
    const Prediction p = c.gp.predict(features);
    for (Eigen::Index j = 0; j < features.cols(); ++j) {
      const double sd = boldness_ * std::sqrt(p.variance[j]);
      const double v = std::log(c.weight * sd) + log_improvement((p.mean[j] - c.best) / sd);
      if (v > top[j])
        sum[j] = sum[j] * std::exp(top[j] - v) + 1, top[j] = v;
      else
        sum[j] += std::exp(v - top[j]);
    }
  }
  return top + sum.log();
}

double Surrogate::log_ei(const VectorXd& features, VectorXd* slope) const {
  std::vector<double> values;
  std::vector<VectorXd> slopes;
  VectorXd mean_slope, variance_slope;
  for (const Chain& c : chains_) {
    if (c.weight < kCounts) continue;
    double mean, variance;
    c.gp.predict(features, &mean, &variance, &mean_slope, &variance_slope);
    const double sd = boldness_ * std::sqrt(variance), z = (mean - c.best) / sd, by_z = log_improvement_slope(z);
    values.push_back(std::log(c.weight * sd) + log_improvement(z));
    slopes.push_back(by_z / sd * mean_slope + (1 - by_z * z) / (2 * variance) * variance_slope);
  }
  const double top = *std::max_element(values.begin(), values.end());
  double sum = 0;
  slope->setZero(space_->size());
  for (size_t k = 0; k < values.size(); ++k) {
    const double share = std::exp(values[k] - top);
    sum += share;
    *slope += share * slopes[k];
  }
  *slope /= sum;
  return top + std::log(sum);
}

std::vector<Surrogate::View> Surrogate::views() const {
  std::vector<View> out;
  double total = 0;
  for (const Chain& c : chains_)
    if (c.weight >= kCounts) out.push_back({&c.gp, c.weight}), total += c.weight;
  for (View& v : out) v.weight /= total;
  return out;
}

double Surrogate::unwarp(const Chain& chain, double value) const { return carry(value, chain.warped, y_, sorted_); }

VectorXd Surrogate::means() const {
  VectorXd out = VectorXd::Zero(size());
  for (const Chain& c : chains_) {
    const VectorXd fitted = c.gp.fitted();
    for (int i = 0; i < size(); ++i) out[i] += c.weight * unwarp(c, fitted[i]);
  }
  return out;
}

Prediction Surrogate::predict(const MatrixXd& features, bool noisy) const {
  Prediction out{VectorXd::Zero(features.cols()), VectorXd::Zero(features.cols())};
  for (const Chain& c : chains_) {
    const Prediction p = c.gp.predict(features);
    for (Eigen::Index j = 0; j < features.cols(); ++j) {
      const double sd = std::sqrt(p.variance[j] + (noisy ? c.gp.noise() : 0)), mean = unwarp(c, p.mean[j]);
      const double off = (unwarp(c, p.mean[j] + sd) - unwarp(c, p.mean[j] - sd)) / 2;
      out.mean[j] += c.weight * mean;
      out.variance[j] += c.weight * (off * off + mean * mean);
    }
  }
  out.variance = (out.variance.array() - out.mean.array().square()).max(0);
  return out;
}

double Surrogate::noise_share() const {
  double out = 0;
  for (const Chain& c : chains_) out += c.weight * std::min(1.0, c.gp.noise());
  return out;
}

std::vector<double> Surrogate::weights() const {
  std::vector<double> out;
  for (const Chain& c : chains_) out.push_back(c.weight);
  return out;
}

}  // namespace ds::autotune

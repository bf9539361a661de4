#include "scheduler/autotune/stopping.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <Eigen/Dense>

namespace ds::autotune {
namespace {

using Curve = std::vector<std::pair<int64_t, double>>;

constexpr size_t kEnoughCurves = 10, kFewCurves = 4, kTellingCurves = 6;
constexpr double kAgree = 0.7;
constexpr double kTiny = 1e-12;     // where all curves are alike
constexpr double kLeastFree = 0.1;  // of a row that nearly fits itself

std::vector<double> ranks(const std::vector<double>& v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
  std::vector<double> out(v.size());
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    while (j < order.size() && v[order[j]] == v[order[i]]) ++j;
    for (size_t k = i; k < j; ++k) out[order[k]] = static_cast<double>(i + j - 1) / 2;
    i = j;
  }
  return out;
}

// a + b * g(t) by least squares; the residual's sum of squares and the value at `last`.
template <typename G>
std::pair<double, double> line(const Curve& curve, int64_t last, G g) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const auto& [t, y] : curve) {
    const double x = g(static_cast<double>(t)), w = static_cast<double>(t);  // late reports weigh more
    n += w, sx += w * x, sy += w * y, sxx += w * x * x, sxy += w * x * y;
  }
  const double spread = sxx - sx * sx / n, b = spread > 1e-12 ? (sxy - sx * sy / n) / spread : 0;
  const double a = (sy - b * sx) / n;
  double rest = 0;
  for (const auto& [t, y] : curve) {
    const double off = y - a - b * g(static_cast<double>(t));
    rest += off * off;
  }
  return {rest, a + b * g(static_cast<double>(last))};
}

// A finished curve's value after `reports` reports, signed so that more is better; its last one where it is shorter.
double at_report(const Trial& t, size_t reports, double sign) {
  return sign * t.curve[std::min(reports, t.curve.size()) - 1].second;
}

// The value of the last report up to a step; nothing where the curve begins later.
std::optional<double> at_step(const Curve& curve, int64_t step) {
  std::optional<double> out;
  for (const auto& [t, y] : curve)
    if (t <= step) out = y;
  return out;
}

Curve until(const Curve& curve, int64_t step) {
  Curve out;
  std::copy_if(curve.begin(), curve.end(), std::back_inserter(out), [&](const auto& r) { return r.first <= step; });
  return out;
}

// What a curve so far says of its end: how much it rose over its second half, and how much more its shape promises.
Eigen::Vector3d traits(const Curve& curve, int64_t last) {
  const auto& [step, now] = curve.back();
  const double before = at_step(curve, step / 2).value_or(curve.front().second);
  return {now, now - before, curve.size() < 4 ? 0 : extrapolate(curve, last).value - now};
}

// A ridge regression with weights, in its columns' own units: the prediction of a further row, with its deviation.
Forecast regress(const Eigen::MatrixX3d& rows, const Eigen::VectorXd& y, const Eigen::VectorXd& weights,
                 const Eigen::Vector3d& x) {
  const Eigen::VectorXd w = weights / weights.sum();
  const double many = 1 / w.squaredNorm();  // rows that the weights leave
  const Eigen::RowVector3d middle = w.transpose() * rows;
  Eigen::MatrixX3d z = rows.rowwise() - middle;
  const Eigen::RowVector3d unit = (w.transpose() * z.cwiseAbs2()).cwiseSqrt().array() + kTiny;
  z.array().rowwise() /= unit.array();
  const double mean = w.dot(y);
  const Eigen::MatrixX3d weighed = many * w.asDiagonal() * z;
  const Eigen::Matrix3d inverse = (weighed.transpose() * z + Eigen::Matrix3d::Identity()).inverse();
  const Eigen::Vector3d slope = inverse * (weighed.transpose() * (y.array() - mean).matrix());
  double square = 0;
  for (Eigen::Index i = 0; i < y.size(); ++i) {
    const double off = y[i] - mean - z.row(i).dot(slope);
    const double lever = w[i] + weighed.row(i).dot(inverse * z.row(i).transpose());  // by which it draws its own fit
    square += w[i] * off * off / std::max(1 - lever, kLeastFree);
  }
  const Eigen::Vector3d at = ((x.transpose() - middle).array() / unit.array()).transpose();
  return {mean + at.dot(slope), std::sqrt(square * (1 + 1 / many + at.dot(inverse * at))) + kTiny};
}

}  // namespace

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i)
    xy += (x[i] - mean) * (y[i] - mean), xx += (x[i] - mean) * (x[i] - mean), yy += (y[i] - mean) * (y[i] - mean);
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

Forecast extrapolate(const Curve& curve, int64_t last) {
  const double now = curve.back().second;
  if (curve.size() < 4) {
    const double change = std::abs(now - curve.front().second);
    return {now, change + 1e-12};
  }
  // Four shapes that settle: powers of t, the logarithm's, and an exponential; weighted by how well they fit.
  const double scale = static_cast<double>(curve.back().first);
  const std::vector<std::pair<double, double>> fits = {
      line(curve, last, [](double t) { return std::pow(t, -0.5); }), line(curve, last, [](double t) { return 1 / t; }),
      line(curve, last, [](double t) { return 1 / std::log1p(t); }),
      line(curve, last, [&](double t) { return std::exp(-3 * t / scale); })};
  const double n = static_cast<double>(curve.size());
  double least = 1e300, total = 0, mean = 0, square = 0;
  for (const auto& fit : fits) least = std::min(least, fit.first);
  const double unit = least / (n - 2) + 1e-12;
  for (const auto& [rest, value] : fits) {
    const double weight = std::exp(-0.5 * (rest - least) / unit);
    total += weight, mean += weight * value, square += weight * value * value;
  }
  mean /= total;
  return {mean, std::sqrt(std::max(square / total - mean * mean, 0.0) + unit)};
}

std::optional<Forecast> forecast(const std::vector<Trial>& trials, const Trial& trial) {
  if (trial.curve.empty()) return std::nullopt;
  const int64_t step = trial.curve.back().first;
  std::vector<const Trial*> done;
  int64_t last = 0;
  for (const Trial& t : trials) {
    if (t.id == trial.id || t.state != Trial::finished || t.curve.empty() || t.curve.front().first > step) continue;
    done.push_back(&t);
    last = std::max(last, t.curve.back().first);
  }
  if (done.size() < kTellingCurves) return std::nullopt;
  const auto n = static_cast<Eigen::Index>(done.size());
  Eigen::MatrixX3d rows(n, 3);
  Eigen::VectorXd gains(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const Trial& t = *done[static_cast<size_t>(i)];
    rows.row(i) = traits(until(t.curve, step), last).transpose();
    gains[i] = t.curve.back().second - rows(i, 0);
  }
  // How a curve goes on hangs on how far it has come: the nearest third weighs most.
  const Eigen::Vector3d own = traits(trial.curve, last);
  const Eigen::VectorXd distance = (rows.col(0).array() - own[0]).abs();
  Eigen::VectorXd sorted = distance;
  std::sort(sorted.begin(), sorted.end());
  const double near = sorted[std::min(n - 1, std::max<Eigen::Index>(kTellingCurves, n / 3))] + kTiny;
  const Forecast gain = regress(rows, gains, (1 + (distance / near).array().square()).inverse(), own);
  return Forecast{own[0] + gain.value, gain.deviation};
}

bool hopeless(const std::vector<Trial>& trials, const Trial& trial, bool maximize, int64_t least_steps) {
  const size_t reports = trial.curve.size();
  if (reports < static_cast<size_t>(std::max<int64_t>(least_steps, 1))) return false;
  const double sign = maximize ? 1 : -1, own = sign * trial.curve.back().second;
  std::vector<double> rung, early, final;  // of all that came this far; of the finished ones, here and at their end
  int64_t last = 0;
  double best = -1e300;
  for (const Trial& t : trials) {
    if (t.id == trial.id || t.state == Trial::failed || t.curve.size() < reports) continue;
    rung.push_back(at_report(t, reports, sign));
    if (t.state != Trial::finished) continue;
    early.push_back(rung.back());
    final.push_back(sign * t.values[0]);
    best = std::max(best, final.back());
    last = std::max(last, t.curve.back().first);
  }
  if (early.size() < kFewCurves || trial.curve.back().first >= last) return false;
  const double share = static_cast<double>(std::count_if(rung.begin(), rung.end(), [&](double v) { return v > own; })) /
                       static_cast<double>(rung.size());
  const bool agree = early.size() >= kEnoughCurves && rank_correlation(early, final) > kAgree;
  const bool at_rung = (reports & (reports - 1)) == 0;
  if (at_rung && share >= (agree ? 2.0 / 3 : 0.75)) return true;
  const Forecast end = extrapolate(trial.curve, last);
  return agree && reports >= 4 && sign * end.value + 1.645 * end.deviation < best;
}

}  // namespace ds::autotune

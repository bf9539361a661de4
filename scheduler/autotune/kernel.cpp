#include "scheduler/autotune/kernel.h"

#include <numeric>

namespace ds::autotune {
namespace {

constexpr double kRoot5 = 2.23606797749979;

// Squared distances of the columns of a and b, by these rows; they are neighbours in the layout of most blocks.
ArrayXXd distances(const std::vector<int>& rows, const MatrixXd& a, const MatrixXd& b) {
  const auto between = [](const auto& x, const auto& y) -> ArrayXXd {
    MatrixXd out(x.cols(), y.cols());
    out.noalias() = -2 * (x.transpose() * y);
    out.colwise() += x.colwise().squaredNorm().transpose();
    out.rowwise() += y.colwise().squaredNorm();
    return out.array().max(0);
  };
  const auto count = static_cast<Eigen::Index>(rows.size());
  if (rows.back() - rows.front() + 1 == count)
    return between(a.middleRows(rows.front(), count), b.middleRows(rows.front(), count));
  return between(MatrixXd(a(rows, Eigen::all)), MatrixXd(b(rows, Eigen::all)));
}

// Matern-5/2 of squared distances, and its derivative by them.
ArrayXXd matern(const ArrayXXd& s) {
  const ArrayXXd r = kRoot5 * s.sqrt();
  return (1 + r + (5.0 / 3) * s) * (-r).exp();
}
ArrayXXd matern_slope(const ArrayXXd& s) {
  const ArrayXXd r = kRoot5 * s.sqrt();
  return (-5.0 / 6) * (1 + r) * (-r).exp();
}

ArrayXXd overlap(const ArrayXXd& s) { return (-s).exp(); }

// The two factors of a block and the slope of the first; those of absent parts are 1 and 0.
struct Factors {
  ArrayXXd number, number_slope, category;
};

Factors factors(const std::vector<int>& numbers, const std::vector<int>& categories, const MatrixXd& a,
                const MatrixXd& b) {
  Factors f;
  if (numbers.empty()) {
    f.number = ArrayXXd::Ones(a.cols(), b.cols());
    f.number_slope = ArrayXXd::Zero(a.cols(), b.cols());
  } else {
    const ArrayXXd s = distances(numbers, a, b);
    f.number = matern(s), f.number_slope = matern_slope(s);
  }
  f.category = categories.empty() ? ArrayXXd::Ones(a.cols(), b.cols()) : overlap(distances(categories, a, b));
  return f;
}

// The product of what a block has.
ArrayXXd together(const std::vector<int>& numbers, const std::vector<int>& categories, const MatrixXd& a,
                  const MatrixXd& b) {
  if (categories.empty()) return matern(distances(numbers, a, b));
  if (numbers.empty()) return overlap(distances(categories, a, b));
  return matern(distances(numbers, a, b)) * overlap(distances(categories, a, b));
}

}  // namespace

Kernel::Kernel(const Space& space, double noise_deviation, bool counts) : layout_(space, counts), dims_(space.size()) {
  const auto block = [&](const std::vector<int>& members) {
    Block b;
    b.members = members;
    for (int r = 0; r < layout_.rows(); ++r)
      if (std::find(members.begin(), members.end(), layout_.owner(r)) != members.end())
        (layout_.numeric(r) ? b.numbers : b.categories).push_back(r);
    const int first = members[0];
    if (space.parent(first) >= 0) {
      if (layout_.is_number(first))
        b.active = layout_.row(first) + 1;
      else
        b.inactive = layout_.row(first) + space.levels(first);
    }
    return b;
  };
  std::vector<int> all(static_cast<size_t>(dims_));
  for (int i = 0; i < dims_; ++i) all[static_cast<size_t>(i)] = i;
  blocks_.push_back(block(all));
  blocks_[0].active = blocks_[0].inactive = -1;
  for (const std::vector<int>& group : layout_.groups()) blocks_.push_back(block(group));
  for (const Layout::Tie& tie : layout_.ties()) {
    ties_.emplace_back(static_cast<size_t>(tie.choices));
    std::iota(ties_.back().begin(), ties_.back().end(), tie.row);
  }
  has_numbers_ = !blocks_[0].numbers.empty();
  has_categories_ = !blocks_[0].categories.empty();
  product_ = noise() + 1;
  int n = product_ + 1;
  if (has_numbers_ && has_categories_) sum_ = n++;
  if (space.conditional()) branch_ = n++;
  if (!ties_.empty()) counts_ = n++;
  mean_ = VectorXd::Zero(n);
  sd_ = VectorXd::Ones(n);
  int numbers = 0;
  for (int i = 0; i < dims_; ++i) numbers += layout_.is_number(i);
  for (int i = 0; i < dims_; ++i) {
    mean_[i] = layout_.is_number(i) ? 0.5 * std::log(std::max(numbers, 1)) - 0.5 : 0.5 + std::log(2.0 / dims_);
    sd_[i] = layout_.is_number(i) ? 0.9 : 1;
  }
  for (const Layout::Tie& tie : layout_.ties())  // counts go up to the number of parameters
    mean_.segment(layout_.owner(tie.row), tie.choices).setConstant(std::log(0.25 * tie.parameters.size()));
  mean_[noise()] = -4;
  sd_[noise()] = noise_deviation;
  if (sum_ >= 0) mean_[sum_] = -1;
  if (branch_ >= 0) mean_[branch_] = -1;
  if (counts_ >= 0) mean_[counts_] = -1;
}

MatrixXd Kernel::scale(const VectorXd& theta, const MatrixXd& features) const {
  VectorXd by(layout_.rows());
  for (int r = 0; r < layout_.rows(); ++r) {
    const double t = theta[layout_.owner(r)];
    by[r] = layout_.numeric(r) ? std::exp(-t) : std::sqrt(std::exp(t) / 2);
  }
  return by.asDiagonal() * features;
}

ArrayXXd Kernel::presence(const Block& block, const MatrixXd& a, const MatrixXd& b) const {
  const auto here = [&](const MatrixXd& m) -> VectorXd {
    if (block.active >= 0) return (m.row(block.active).array() != 0).cast<double>();
    if (block.inactive >= 0) return (m.row(block.inactive).array() == 0).cast<double>();
    return VectorXd::Ones(m.cols());
  };
  return (here(a) * here(b).transpose()).array() / static_cast<double>(blocks_.size() - 1);
}

MatrixXd Kernel::cross(const VectorXd& theta, const MatrixXd& a, const MatrixXd& b) const {
  const double product = std::exp(theta[product_]), sum = sum_ < 0 ? 0 : std::exp(theta[sum_]) / 2;
  const Block& whole = blocks_[0];
  ArrayXXd out;
  if (sum_ >= 0) {
    const ArrayXXd number = matern(distances(whole.numbers, a, b)),
                   category = overlap(distances(whole.categories, a, b));
    out = product * number * category + sum * (number + category);
  } else {
    out = product * together(whole.numbers, whole.categories, a, b);
  }
  for (size_t g = 1; g < blocks_.size(); ++g)
    out += std::exp(theta[branch_]) * presence(blocks_[g], a, b) *
           together(blocks_[g].numbers, blocks_[g].categories, a, b);
  for (const std::vector<int>& rows : ties_) out += std::exp(theta[counts_]) * matern(distances(rows, a, b));
  return out;
}

double Kernel::variance(const VectorXd& theta, const Eigen::Ref<const VectorXd>& x) const {
  double out = std::exp(theta[product_]) + (sum_ < 0 ? 0 : std::exp(theta[sum_]));
  const MatrixXd column = x;
  for (size_t g = 1; g < blocks_.size(); ++g)
    out += std::exp(theta[branch_]) * presence(blocks_[g], column, column)(0, 0);
  if (counts_ >= 0) out += static_cast<double>(ties_.size()) * std::exp(theta[counts_]);
  return out;
}

// out[owner] += sign * sum_ij g_ij (a_ri - a_rj)^2 for symmetric g.
void Kernel::spread(const std::vector<int>& rows, const MatrixXd& a, const MatrixXd& g, double sign,
                    VectorXd& out) const {
  const MatrixXd x = a(rows, Eigen::all);
  const VectorXd sums = g.rowwise().sum(), whole = (x.array().square().matrix() * sums),
                 mixed = ((x * g).array() * x.array()).rowwise().sum();
  for (size_t k = 0; k < rows.size(); ++k) {
    const auto i = static_cast<Eigen::Index>(k);
    out[layout_.owner(rows[k])] += sign * 2 * (whole[i] - mixed[i]);
  }
}

VectorXd Kernel::derivative(const VectorXd& theta, const MatrixXd& a, const MatrixXd& weights) const {
  VectorXd out = VectorXd::Zero(size());
  const auto w = weights.array();
  const double product = std::exp(theta[product_]), sum = sum_ < 0 ? 0 : std::exp(theta[sum_]) / 2;
  const Block& whole = blocks_[0];
  const Factors f = factors(whole.numbers, whole.categories, a, a);
  if (has_numbers_) spread(whole.numbers, a, w * (product * f.category + sum) * f.number_slope, -2, out);
  if (has_categories_) spread(whole.categories, a, w * (product * f.number + sum) * f.category, -1, out);
  out[noise()] = std::exp(theta[noise()]) * weights.trace();
  out[product_] = product * (w * f.number * f.category).sum();
  if (sum_ >= 0) out[sum_] = sum * (w * (f.number + f.category)).sum();
  for (size_t g = 1; g < blocks_.size(); ++g) {
    const Block& own = blocks_[g];
    const Factors of = factors(own.numbers, own.categories, a, a);
    const ArrayXXd base = std::exp(theta[branch_]) * presence(own, a, a) * w;
    if (!own.numbers.empty()) spread(own.numbers, a, base * of.category * of.number_slope, -2, out);
    if (!own.categories.empty()) spread(own.categories, a, base * of.number * of.category, -1, out);
    out[branch_] += (base * of.number * of.category).sum();
  }
  for (const std::vector<int>& rows : ties_) {
    const ArrayXXd s = distances(rows, a, a), base = std::exp(theta[counts_]) * w;
    spread(rows, a, base * matern_slope(s), -2, out);
    out[counts_] += (base * matern(s)).sum();
  }
  return out;
}

Kernel::Approach Kernel::approach(const VectorXd& theta, const MatrixXd& a, const VectorXd& x) const {
  const double product = std::exp(theta[product_]), sum = sum_ < 0 ? 0 : std::exp(theta[sum_]) / 2;
  const MatrixXd column = x;
  const Factors f = factors(blocks_[0].numbers, blocks_[0].categories, a, column);
  Approach out;
  ArrayXXd k = product * f.number * f.category;
  if (sum_ >= 0) k += sum * (f.number + f.category);
  out.by_distance.push_back((product * f.category + sum) * f.number_slope);
  for (size_t g = 1; g < blocks_.size(); ++g) {
    const Factors own = factors(blocks_[g].numbers, blocks_[g].categories, a, column);
    const ArrayXXd here = std::exp(theta[branch_]) * presence(blocks_[g], a, column);
    k += here * own.number * own.category;
    out.by_distance.push_back(here * own.category * own.number_slope);
  }
  for (const std::vector<int>& rows : ties_) k += std::exp(theta[counts_]) * matern(distances(rows, a, column));
  out.k = k.matrix().col(0);
  return out;
}

// out.row(owner) += d/d(place) of sum_j v_j s_j with s_j the squared distance of x and column j by these rows. The rows
// that say whether a parameter is active do not move.
void Kernel::lean(const std::vector<int>& rows, const VectorXd& theta, const MatrixXd& a, const VectorXd& x,
                  const MatrixXd& v, MatrixXd& out) const {
  const Eigen::RowVectorXd sums = v.colwise().sum();
  const MatrixXd pulls = a.topRows(layout_.numbers()) * v;
  for (const int r : rows) {
    const int i = layout_.owner(r);
    if (r == layout_.row(i)) out.row(i) += 2 * std::exp(-theta[i]) * (x[r] * sums - pulls.row(r));
  }
}

MatrixXd Kernel::slope(const VectorXd& theta, const MatrixXd& a, const VectorXd& x, const Approach& approach,
                       const MatrixXd& weights) const {
  MatrixXd out = MatrixXd::Zero(dims_, weights.cols());
  for (size_t g = 0; g < blocks_.size(); ++g) {
    if (blocks_[g].numbers.empty()) continue;
    const MatrixXd v = weights.array().colwise() * approach.by_distance[g].col(0);
    lean(blocks_[g].numbers, theta, a, x, v, out);
  }
  return out;
}

}  // namespace ds::autotune

#include "scheduler/autotune/arms.h"

#include <algorithm>
#include <cmath>

namespace ds::autotune {
namespace {

constexpr int kRecent = 12;     // plays whose gains are compared
constexpr double kFade = 0.85;  // of what a play counts, a later play of the same arm

// A draw from Gamma(shape, 1), for shapes from 1 on (Marsaglia and Tsang 2000).
double gamma(double shape, Random& random) {
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = random.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

// The gain of each play as a share of the largest one up to it, of the recent ones.
std::vector<double> shares(const std::vector<Play>& plays) {
  std::vector<double> out;
  for (size_t i = 0; i < plays.size(); ++i) {
    double most = 0;
    for (size_t j = i + 1 > kRecent ? i + 1 - kRecent : 0; j <= i; ++j) most = std::max(most, plays[j].gain);
    out.push_back(most > 0 ? plays[i].gain / most : 0);
  }
  return out;
}

}  // namespace

int choose_arm(int arms, const std::vector<Play>& plays, Random& random) {
  const std::vector<double> share = shares(plays);
  int best = 0;
  double highest = -1;
  for (int arm = 0; arm < arms; ++arm) {
    double better = 1, other = 1, weight = 1;
    for (size_t i = plays.size(); i-- > 0;) {
      if (plays[i].arm != arm) continue;
      better += weight * share[i], other += weight * (1 - share[i]);
      weight *= kFade;
    }
    const double a = gamma(better, random), draw = a / (a + gamma(other, random));
    if (draw > highest) highest = draw, best = arm;
  }
  return best;
}

}  // namespace ds::autotune

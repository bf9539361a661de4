#include "scheduler/autotune/lbfgs.h"

#include <deque>
#include <vector>

namespace ds::autotune {
namespace {

using Eigen::VectorXd;

constexpr size_t kMemory = 6;
constexpr double kFirstStep = 0.1;

struct Secant {
  VectorXd step, change;
};

// The two-loop recursion (Nocedal 1980), over the coordinates that are free to move.
VectorXd direction(const VectorXd& gradient, const std::deque<Secant>& memory, const VectorXd& free) {
  VectorXd q = gradient.cwiseProduct(free);
  if (memory.empty()) return q * (kFirstStep / std::max(q.norm(), 1e-12));
  std::vector<double> a;
  for (auto p = memory.rbegin(); p != memory.rend(); ++p) {
    a.push_back(p->step.dot(q) / p->change.dot(p->step));
    q -= a.back() * p->change;
  }
  q *= memory.back().step.dot(memory.back().change) / memory.back().change.squaredNorm();
  for (size_t k = 0; k < memory.size(); ++k) {
    const Secant& p = memory[k];
    q += (a[memory.size() - 1 - k] - p.change.dot(q) / p.change.dot(p.step)) * p.step;
  }
  return q.cwiseProduct(free);
}

}  // namespace

double maximize_in_box(const std::function<double(const VectorXd&, VectorXd*)>& f, VectorXd& x, int calls) {
  VectorXd gradient(x.size()), next_gradient(x.size());
  double value = f(x, &gradient);
  std::deque<Secant> memory;
  double shrink = 1;
  for (int call = 1; call < calls; ++call) {
    VectorXd free(x.size());
    for (Eigen::Index i = 0; i < x.size(); ++i)
      free[i] = !((x[i] <= 0 && gradient[i] < 0) || (x[i] >= 1 && gradient[i] > 0));
    VectorXd way = direction(gradient, memory, free);
    if (way.dot(gradient) <= 0) memory.clear(), way = direction(gradient, memory, free);
    const VectorXd next = (x + shrink * way).cwiseMax(0).cwiseMin(1);
    if ((next - x).cwiseAbs().maxCoeff() < 1e-7) break;
    const double found = f(next, &next_gradient);
    if (!(found > value)) {
      shrink *= 0.25;
      continue;
    }
    Secant pair{next - x, gradient - next_gradient};  // of -f, which is to be convex
    if (pair.step.dot(pair.change) > 1e-12 * pair.step.squaredNorm()) memory.push_back(std::move(pair));
    if (memory.size() > kMemory) memory.pop_front();
    x = next, value = found, gradient = next_gradient, shrink = 1;
  }
  return value;
}

}  // namespace ds::autotune

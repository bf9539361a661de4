#include "scheduler/autotune/features.h"

#include <map>

namespace ds::autotune {
namespace {

constexpr int kTied = 3;  // categories with the same choices that are worth counting

}  // namespace

Layout::Layout(const Space& space, bool counts) : row_(static_cast<size_t>(space.size())) {
  std::map<std::pair<int, std::vector<std::string>>, std::vector<int>> groups;
  for (int i = 0; i < space.size(); ++i) {
    const Parameter& p = space.parameter(i);
    number_.push_back(p.kind != Kind::categorical);
    groups[{space.parent(i), p.when}].push_back(i);
    if (!number_.back()) continue;
    row_[static_cast<size_t>(i)] = rows();
    owner_.insert(owner_.end(), p.parent.empty() ? 1 : 2, i);
  }
  numbers_ = rows();
  for (int i = 0; i < space.size(); ++i) {
    if (is_number(i)) continue;
    row_[static_cast<size_t>(i)] = rows();
    owner_.insert(owner_.end(), static_cast<size_t>(space.levels(i) + (space.parent(i) >= 0)), i);
  }
  if (space.conditional())
    for (auto& [condition, members] : groups) groups_.push_back(members);
  lengths_ = space.size();
  if (counts) tie(space);
}

void Layout::tie(const Space& space) {
  std::map<std::vector<std::string>, std::vector<int>> alike;
  for (int i = 0; i < space.size(); ++i)
    if (!is_number(i)) alike[space.parameter(i).choices].push_back(i);
  for (auto& [choices, members] : alike) {
    if (static_cast<int>(members.size()) < kTied) continue;
    ties_.push_back({std::move(members), rows(), static_cast<int>(choices.size())});
    for (size_t c = 0; c < choices.size(); ++c) owner_.push_back(lengths_++);
  }
}

void Layout::encode(const Space& space, const Point& point, Eigen::Ref<Eigen::VectorXd> out) const {
  out.setZero();
  for (int i = 0; i < space.size(); ++i) {
    const double c = point[static_cast<size_t>(i)];
    if (!is_number(i)) {
      out[row(i) + (c == kInactive ? space.levels(i) : static_cast<int>(c))] = 1;
    } else if (c != kInactive) {
      out[row(i)] = space.unit(i, c) - 0.5;
      if (space.parent(i) >= 0) out[row(i) + 1] = 0.5;
    }
  }
  for (const Tie& tie : ties_)
    for (const int i : tie.parameters)
      if (const double c = point[static_cast<size_t>(i)]; c != kInactive) out[tie.row + static_cast<int>(c)] += 1;
}

Eigen::MatrixXd Layout::encode(const Space& space, const std::vector<Point>& points) const {
  Eigen::MatrixXd out(rows(), static_cast<Eigen::Index>(points.size()));
  for (size_t j = 0; j < points.size(); ++j) encode(space, points[j], out.col(static_cast<Eigen::Index>(j)));
  return out;
}

}  // namespace ds::autotune

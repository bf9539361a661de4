// Points as vectors whose Euclidean distances the kernels are functions of.
#pragma once
#include <Eigen/Dense>

#include "scheduler/autotune/space.h"

namespace ds::autotune {

// A number becomes (place - 1/2, 1/2), an inactive one (0, 0): both inactive are at distance 0, and one inactive is far
// from every value, so that kernels of this distance stay positive definite. A category becomes one column a value
// ("inactive" is one more), two columns of different values being at squared distance 2. Categories with the same
// choices have rows of their own: how many of them have each choice, such as how many layers of a cell are 3x3
// convolutions.
class Layout {
 public:
  explicit Layout(const Space& space, bool counts = true);

  int numbers() const { return numbers_; }  // rows of the numeric block, which come first
  int rows() const { return static_cast<int>(owner_.size()); }
  int lengths() const { return lengths_; }                               // of the parameters, and then of the counts
  int owner(int row) const { return owner_[static_cast<size_t>(row)]; }  // the length that scales a row
  bool numeric(int row) const { return row < numbers_ || owner(row) >= static_cast<int>(row_.size()); }
  int row(int parameter) const { return row_[static_cast<size_t>(parameter)]; }  // its first row
  bool is_number(int parameter) const { return number_[static_cast<size_t>(parameter)]; }

  // Parameters that are active under the same condition. Conditional spaces have one additive kernel a group.
  const std::vector<std::vector<int>>& groups() const { return groups_; }

  // Categories that have the same choices, and the first of the rows that count them, one a choice.
  struct Tie {
    std::vector<int> parameters;
    int row, choices;
  };
  const std::vector<Tie>& ties() const { return ties_; }

  void encode(const Space& space, const Point& point, Eigen::Ref<Eigen::VectorXd> out) const;
  Eigen::MatrixXd encode(const Space& space, const std::vector<Point>& points) const;  // one column a point

 private:
  void tie(const Space& space);

  int numbers_ = 0, lengths_ = 0;
  std::vector<int> owner_, row_;
  std::vector<bool> number_;
  std::vector<std::vector<int>> groups_;
  std::vector<Tie> ties_;
};

}  // namespace ds::autotune

// What may be tuned: parameters, when each is active, and what is known to be forbidden.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/autotune/random.h"

namespace ds::autotune {

enum class Kind { real, integer, ordinal, categorical };
enum class Scale { linear, log, logit };

// One parameter. Numbers have bounds (`logit` within (0, 1)); ordinal and categorical ones have choices. With a parent,
// it is active only while the parent is active and has one of the values `when`, written as the parent's choices are
// (integers in decimal).
struct Parameter {
  std::string name;
  Kind kind = Kind::real;
  Scale scale = Scale::linear;
  double low = 0, high = 1;
  std::vector<std::string> choices = {};
  std::string parent = {};
  std::vector<std::string> when = {};
};

// One coordinate a parameter, in their order: real ones in [0, 1] on their scale, all others their level 0, 1, ...;
// kInactive where the parameter is not active. Equal points are equal vectors.
using Point = std::vector<double>;
inline constexpr double kInactive = -1;

class Space;

// What is known before any trial: points for which `allows` is false are never suggested.
struct Constraint {
  std::string name;
  std::function<bool(const Space&, const Point&)> allows;
};

class Space {
 public:
  // Errors name the parameter and the value that is wrong.
  static absl::StatusOr<Space> create(std::vector<Parameter> parameters, std::vector<Constraint> constraints = {});

  int size() const { return static_cast<int>(parameters_.size()); }
  const Parameter& parameter(int i) const { return parameters_[static_cast<size_t>(i)]; }
  int find(const std::string& name) const;                  // -1: there is none
  const std::vector<int>& order() const { return order_; }  // parents before children
  int parent(int i) const { return parents_[static_cast<size_t>(i)]; }

  int levels(int i) const { return levels_[static_cast<size_t>(i)]; }  // 0: continuous
  bool conditional() const { return conditional_; }
  double count() const;  // upper bound on the number of different points; infinity with a continuous parameter

  // Where a coordinate lies on its scale, in [0, 1].
  double unit(int i, double coordinate) const;
  // The coordinate nearest to a place in [0, 1] on the scale.
  double at(int i, double unit) const;
  // A number's value; the index of the choice for ordinal and categorical ones.
  double value(int i, double coordinate) const;
  // The coordinate of a value; an error names what is outside.
  absl::StatusOr<double> coordinate(int i, double value) const;
  std::string label(int i, double coordinate) const;

  bool active(int i, const Point& point) const;
  bool allows(const Point& point) const;
  // Coordinates of inactive parameters become kInactive; newly active ones are drawn.
  void settle(Point& point, Random& random) const;
  Point sample(Random& random) const;
  // An error names the first coordinate that no point of this space can have.
  absl::Status check(const Point& point) const;

 private:
  absl::Status build();

  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
  std::vector<int> levels_, parents_, order_;
  std::vector<std::vector<bool>> when_;  // by the parent's level
  bool conditional_ = false;
};

}  // namespace ds::autotune

#include "scheduler/autotune/space.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace ds::autotune {
namespace {

constexpr int kMostLevels = 1 << 30;

template <typename... T>
absl::Status bad(const std::string& name, const absl::FormatSpec<T...>& format, const T&... values) {
  return absl::InvalidArgumentError(absl::StrFormat("[autotune] %s: ", name) + absl::StrFormat(format, values...));
}

absl::Status check_number(const Parameter& p) {
  if (!std::isfinite(p.low) || !std::isfinite(p.high) || !(p.low < p.high))
    return bad(p.name, "bounds must be finite and low < high, got [%g, %g]", p.low, p.high);
  if (p.scale == Scale::log && p.low <= 0) return bad(p.name, "a log scale needs low > 0, got %g", p.low);
  if (p.scale == Scale::logit && (p.low <= 0 || p.high >= 1 || p.kind != Kind::real))
    return bad(p.name, "a logit scale needs a float within (0, 1), got [%g, %g]", p.low, p.high);
  if (p.kind != Kind::integer) return absl::OkStatus();
  if (p.low != std::floor(p.low) || p.high != std::floor(p.high))
    return bad(p.name, "an int needs whole bounds, got [%g, %g]", p.low, p.high);
  if (p.high - p.low >= kMostLevels) return bad(p.name, "an int takes at most 2^30 values, got %g", p.high - p.low + 1);
  return absl::OkStatus();
}

absl::Status check_choices(const Parameter& p) {
  if (p.choices.empty()) return bad(p.name, "%s", "there are no choices");
  std::set<std::string> seen;
  for (const std::string& choice : p.choices)
    if (!seen.insert(choice).second) return bad(p.name, "the choice \"%s\" is there twice", choice);
  return absl::OkStatus();
}

double onto(Scale scale, double v) {
  return scale == Scale::log ? std::log(v) : scale == Scale::logit ? std::log(v / (1 - v)) : v;
}
double from(Scale scale, double t) {
  return scale == Scale::log ? std::exp(t) : scale == Scale::logit ? 1 / (1 + std::exp(-t)) : t;
}

bool numeric(const Parameter& p) { return p.kind == Kind::real || p.kind == Kind::integer; }

}  // namespace

absl::StatusOr<Space> Space::create(std::vector<Parameter> parameters, std::vector<Constraint> constraints) {
  Space space;
  space.parameters_ = std::move(parameters);
  space.constraints_ = std::move(constraints);
  if (absl::Status status = space.build(); !status.ok()) return status;
  return space;
}

absl::Status Space::build() {
  if (parameters_.empty()) return absl::InvalidArgumentError("[autotune] the space has no parameters");
  std::set<std::string> names;
  for (const Parameter& p : parameters_) {
    if (p.name.empty()) return absl::InvalidArgumentError("[autotune] a parameter has no name");
    if (!names.insert(p.name).second) return bad(p.name, "%s", "this name is there twice");
    if (absl::Status status = numeric(p) ? check_number(p) : check_choices(p); !status.ok()) return status;
    levels_.push_back(p.kind == Kind::real      ? 0
                      : p.kind == Kind::integer ? static_cast<int>(p.high - p.low) + 1
                                                : static_cast<int>(p.choices.size()));
  }
  for (int i = 0; i < size(); ++i) {
    const Parameter& p = parameter(i);
    parents_.push_back(p.parent.empty() ? -1 : find(p.parent));
    when_.emplace_back();
    if (p.parent.empty()) {
      if (!p.when.empty()) return bad(p.name, "%s", "values to be active for, but no parent");
      continue;
    }
    const int above = parents_.back();
    conditional_ = true;
    if (above < 0) return bad(p.name, "the parent \"%s\" is no parameter", p.parent);
    if (levels(above) == 0 || levels(above) > 1024)
      return bad(p.name, "the parent \"%s\" must have at most 1024 values to choose from", p.parent);
    if (p.when.empty()) return bad(p.name, "no value of \"%s\" makes it active", p.parent);
    when_.back().resize(static_cast<size_t>(levels(above)));
    for (const std::string& value : p.when) {
      int level = 0;
      while (level < levels(above) && label(above, level) != value) ++level;
      if (level == levels(above)) return bad(p.name, "\"%s\" is no value of its parent \"%s\"", value, p.parent);
      when_.back()[static_cast<size_t>(level)] = true;
    }
  }
  std::vector<bool> placed(parameters_.size());
  while (order_.size() < parameters_.size()) {
    const size_t before = order_.size();
    for (int i = 0; i < size(); ++i) {
      const int above = parent(i);
      if (placed[static_cast<size_t>(i)] || (above >= 0 && !placed[static_cast<size_t>(above)])) continue;
      placed[static_cast<size_t>(i)] = true;
      order_.push_back(i);
    }
    if (order_.size() == before) {
      const auto left = std::find(placed.begin(), placed.end(), false) - placed.begin();
      return bad(parameter(static_cast<int>(left)).name, "%s", "its parents lead back to it");
    }
  }
  return absl::OkStatus();
}

int Space::find(const std::string& name) const {
  for (int i = 0; i < size(); ++i)
    if (parameter(i).name == name) return i;
  return -1;
}

double Space::count() const {
  double product = 1;
  for (int i = 0; i < size(); ++i)
    product *= levels(i) == 0 ? std::numeric_limits<double>::infinity() : levels(i) + (parent(i) >= 0);
  return product;
}

double Space::unit(int i, double coordinate) const {
  const Parameter& p = parameter(i);
  if (p.kind == Kind::real) return coordinate;
  if (p.kind == Kind::integer && p.scale != Scale::linear) {
    const double low = onto(p.scale, p.low), high = onto(p.scale, p.high);
    return (onto(p.scale, p.low + coordinate) - low) / (high - low);
  }
  return levels(i) > 1 ? coordinate / (levels(i) - 1) : 0;
}

double Space::at(int i, double unit) const {
  const Parameter& p = parameter(i);
  unit = std::clamp(unit, 0.0, 1.0);
  if (p.kind == Kind::real) return unit;
  if (p.kind == Kind::integer && p.scale != Scale::linear) {
    const double low = onto(p.scale, p.low), high = onto(p.scale, p.high);
    return std::clamp(std::round(from(p.scale, low + unit * (high - low))) - p.low, 0.0, levels(i) - 1.0);
  }
  return std::round(unit * (levels(i) - 1));
}

double Space::value(int i, double coordinate) const {
  const Parameter& p = parameter(i);
  if (p.kind == Kind::integer) return p.low + coordinate;
  if (p.kind != Kind::real) return coordinate;
  const double low = onto(p.scale, p.low), high = onto(p.scale, p.high);
  return std::clamp(from(p.scale, low + coordinate * (high - low)), p.low, p.high);
}

absl::StatusOr<double> Space::coordinate(int i, double value) const {
  const Parameter& p = parameter(i);
  const double low = numeric(p) ? p.low : 0, high = numeric(p) ? p.high : levels(i) - 1;
  if (!(value >= low && value <= high)) return bad(p.name, "%g is outside [%g, %g]", value, low, high);
  if (p.kind != Kind::real && value != std::floor(value)) return bad(p.name, "%g is no whole number", value);
  if (p.kind != Kind::real) return value - low;
  return (onto(p.scale, value) - onto(p.scale, low)) / (onto(p.scale, high) - onto(p.scale, low));
}

std::string Space::label(int i, double coordinate) const {
  const Parameter& p = parameter(i);
  if (coordinate == kInactive) return "";
  if (p.kind == Kind::integer) return absl::StrFormat("%d", static_cast<int64_t>(value(i, coordinate)));
  if (p.kind == Kind::real) return absl::StrFormat("%.17g", value(i, coordinate));
  return p.choices[static_cast<size_t>(coordinate)];
}

bool Space::active(int i, const Point& point) const {
  const int above = parent(i);
  if (above < 0) return true;
  const double level = point[static_cast<size_t>(above)];
  return level != kInactive && when_[static_cast<size_t>(i)][static_cast<size_t>(level)];
}

bool Space::allows(const Point& point) const {
  return std::all_of(constraints_.begin(), constraints_.end(),
                     [&](const Constraint& c) { return c.allows(*this, point); });
}

void Space::settle(Point& point, Random& random) const {
  for (const int i : order_) {
    double& c = point[static_cast<size_t>(i)];
    if (!active(i, point)) {
      c = kInactive;
    } else if (c == kInactive) {
      c = levels(i) == 0 ? random.uniform() : random.below(levels(i));
    }
  }
}

Point Space::sample(Random& random) const {
  Point point(parameters_.size(), kInactive);
  settle(point, random);
  return point;
}

absl::Status Space::check(const Point& point) const {
  if (point.size() != parameters_.size())
    return absl::InvalidArgumentError(
        absl::StrFormat("[autotune] a point of this space has %d coordinates, got %d", size(), point.size()));
  for (const int i : order_) {
    const double c = point[static_cast<size_t>(i)];
    if (!active(i, point)) {
      if (c != kInactive) return bad(parameter(i).name, "it is not active here, but has the coordinate %g", c);
    } else if (!(c >= 0 && c <= (levels(i) == 0 ? 1 : levels(i) - 1)) || (levels(i) && c != std::floor(c))) {
      return bad(parameter(i).name, "no such coordinate: %g", c);
    }
  }
  return absl::OkStatus();
}

}  // namespace ds::autotune

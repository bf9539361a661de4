#include "client/study_plots.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/client.h"
#include "client/documents.h"
#include "client/study_documents.h"
#include "client/study_progress.h"
#include "client/svg.h"

namespace ds::client {
namespace {

using Align = Svg::Align;

// From numbers to places on a picture.
class Axis {
 public:
  Axis(double low, double high, bool log, double from, double to)
      : low_(low), high_(high > low ? high : low + (log ? low : 1)), log_(log), from_(from), to_(to) {}

  // What lies beyond an end is drawn at it.
  double at(double value) const {
    return from_ + (to_ - from_) * (on(std::clamp(value, low_, high_)) - on(low_)) / (on(high_) - on(low_));
  }

  // Powers of ten, or up to six round steps.
  std::vector<double> ticks() const {
    std::vector<double> out;
    if (log_) {
      for (double t = std::pow(10, std::ceil(std::log10(low_) - 1e-9)); t <= high_ * (1 + 1e-9); t *= 10)
        out.push_back(t);
      if (out.size() >= 2) return out;
      return {low_, high_};
    }
    const double rough = (high_ - low_) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
    for (double t = std::ceil(low_ / step - 1e-9) * step; t <= high_ + step * 1e-9; t += step)
      out.push_back(std::abs(t) < step * 1e-9 ? 0 : t);
    return out;
  }

 private:
  double on(double v) const { return log_ ? std::log(v) : v; }
  double low_, high_;
  bool log_;
  double from_, to_;
};

// One key of the search as an axis: bounds on their scale, or choices in their order.
class KeyAxis {
 public:
  KeyAxis(const v1::SearchSpec& search, double from, double to) : search_(search), axis_(axis_of(search, from, to)) {}

  double at(const std::string& text) const {
    if (!search_.choices().empty()) {
      const auto found = std::find(search_.choices().begin(), search_.choices().end(), text);
      return axis_.at(static_cast<double>(found - search_.choices().begin()));
    }
    double value = 0;
    return absl::SimpleAtod(text, &value) ? axis_.at(value) : axis_.at(search_.low());
  }

  std::vector<std::pair<double, std::string>> labels() const {
    std::vector<std::pair<double, std::string>> out;
    for (const std::string& choice : search_.choices()) out.emplace_back(at(choice), choice);
    if (!out.empty()) return out;
    for (const double t : axis_.ticks()) out.emplace_back(axis_.at(t), absl::StrFormat("%g", t));
    return out;
  }

 private:
  static Axis axis_of(const v1::SearchSpec& s, double from, double to) {
    if (s.choices().empty())
      return Axis(s.low(), s.high(), s.kind() == v1::SearchSpec::LOG || s.kind() == v1::SearchSpec::LOG_INT, from, to);
    const double room = 0.5;  // half a step on both sides
    return Axis(-room, s.choices_size() - 1 + room, false, from, to);
  }
  const v1::SearchSpec& search_;
  Axis axis_;
};

class Plot {
 public:
  Plot(const v1::Study& study, const Trials& trials)
      : study_(study), spec_(study.spec()), goal_(measured_objective(spec_)), objective_(spec_.objectives(goal_)) {
    for (const v1::Trial& t : trials)
      if (ended(t.state())) ended_.push_back(&t);
    std::stable_sort(ended_.begin(), ended_.end(),
                     [](auto* a, auto* b) { return a->finished_at_us() < b->finished_at_us(); });
    for (const v1::Trial* t : ended_)
      if (t->values_size() > goal_ && t->state() != v1::TRIAL_FAILED) valued_.push_back(t);
    if (!valued_.empty()) bound();
  }

  bool empty() const { return valued_.empty(); }
  std::string history() const;
  std::string parallel() const;
  std::string slice() const;
  absl::StatusOr<std::string> pareto() const;

 private:
  struct Across;
  Across across() const;
  Svg::Points staircase(const std::vector<const v1::Trial*>& trials, const Across& across, const Axis& x, const Axis& y,
                        double end) const;
  void bound();
  bool is_of_front(const v1::Trial& trial) const;
  double value(const v1::Trial& trial) const { return trial.values(goal_); }
  std::string about(const v1::Trial& trial) const;
  void heading(Svg& svg, const std::string& what) const;
  Axis values(double from, double to) const;
  // The grid of a picture whose upright axis is the objective.
  void frame(Svg& svg, double left, double right, double top, double bottom) const;
  void mark(Svg& svg, double x, double y, const v1::Trial& trial) const;
  double rank(const v1::Trial& trial) const;  // 1: the best
  void slice_of(Svg& svg, const v1::SearchSpec& search, double left, double top) const;

  const v1::Study& study_;
  const v1::StudySpec& spec_;
  const int goal_;  // the objective of the upright axis: the first that trials measure
  const v1::ObjectiveSpec& objective_;
  std::vector<const v1::Trial*> ended_, valued_;  // in the order in which they ended
  double low_ = 0, high_ = 0;                     // of the values that are shown at their place
  int64_t beyond_ = 0;                            // trials with worse ones
};

// Hopeless trials would press all others into a line: the axis ends where Tukey's fence is on the side of the worse.
void Plot::bound() {
  std::vector<double> values;
  for (const v1::Trial* t : valued_) values.push_back(value(*t));
  std::sort(values.begin(), values.end());
  low_ = values.front(), high_ = values.back();
  const double lower = values[values.size() / 4], upper = values[values.size() * 3 / 4], fence = 1.5 * (upper - lower);
  if (values.size() < 4 || fence == 0) return;
  const bool maximize = objective_.maximize();
  const auto shown = [&](double v) { return maximize ? v >= lower - fence : v <= upper + fence; };
  const auto inside = std::partition(values.begin(), values.end(), shown);
  (maximize ? low_ : high_) =
      maximize ? *std::min_element(values.begin(), inside) : *std::max_element(values.begin(), inside);
  for (const v1::Trial* t : valued_)  // an end of the front may be far from all others
    if (is_of_front(*t)) low_ = std::min(low_, value(*t)), high_ = std::max(high_, value(*t));
  beyond_ = std::count_if(valued_.begin(), valued_.end(),
                          [&](const v1::Trial* t) { return value(*t) < low_ || value(*t) > high_; });
}

bool Plot::is_of_front(const v1::Trial& trial) const {
  return std::any_of(study_.best().front().begin(), study_.best().front().end(),
                     [&](const v1::FrontTrial& f) { return f.trial() == trial.id(); });
}

std::string Plot::about(const v1::Trial& trial) const {
  std::vector<std::string> parts;
  for (const v1::SearchSpec& s : spec_.search())
    if (const auto value = trial.params().find(s.key()); value != trial.params().end())
      parts.push_back(absl::StrCat(short_key(spec_, s.key()), " ", value->second));
  const std::string end = trial.values_size() == 1  ? value_text(trial.values(0))
                          : trial.values_size() > 1 ? values_text(spec_, trial.values())
                                                    : failure_name(trial.failure());
  return absl::StrCat("trial ", trial.id(), ": ", end, "; ", absl::StrJoin(parts, ", "));
}

void Plot::heading(Svg& svg, const std::string& what) const {
  svg.text(24, 30, absl::StrCat(spec_.name(), ": ", what), Align::kLeft, 16);
  const std::string beyond = beyond_ > 0 ? absl::StrCat("; ", beyond_, " worse than the axis, at its end") : "";
  svg.text(24, 48,
           absl::StrCat(valued_.size(), " trials with a value, ", ended_.size() - valued_.size(), " failed", beyond),
           Align::kLeft, 12, colour::kPale);
}

Axis Plot::values(double from, double to) const {
  const double room = std::max((high_ - low_) * 0.05, std::abs(high_) * 1e-6 + 1e-12);
  return Axis(low_ - room, high_ + room, false, from, to);
}

void Plot::frame(Svg& svg, double left, double right, double top, double bottom) const {
  const Axis y = values(bottom, top);
  for (const double t : y.ticks()) {
    svg.line(left, y.at(t), right, y.at(t), colour::kGrid);
    svg.text(left - 8, y.at(t) + 4, absl::StrFormat("%g", t), Align::kRight, 11);
  }
}

// A trial that was stopped early is a ring: its value is that of its last report.
void Plot::mark(Svg& svg, double x, double y, const v1::Trial& trial) const {
  if (trial.state() == v1::TRIAL_STOPPED) {
    svg.ring(x, y, 3.5, colour::kPale, about(trial));
  } else {
    svg.circle(x, y, 3.5, colour::kBlue, about(trial));
  }
}

double Plot::rank(const v1::Trial& trial) const {
  if (valued_.size() < 2) return 1;
  const auto worse = std::count_if(valued_.begin(), valued_.end(),
                                   [&](const v1::Trial* t) { return better(objective_, value(trial), value(*t)); });
  return static_cast<double>(worse) / static_cast<double>(valued_.size() - 1);
}

std::string Plot::history() const {
  constexpr double kLeft = 84, kRight = 860, kTop = 70, kBottom = 350;
  Svg svg(900, 420);
  heading(svg, absl::StrCat(objective_.metric(), " of each trial"));
  frame(svg, kLeft, kRight, kTop, kBottom);
  const Axis x(0, static_cast<double>(ended_.size()) + 1, false, kLeft, kRight), y = values(kBottom, kTop);
  for (const double t : x.ticks())
    if (t == std::floor(t) && t >= 1) svg.text(x.at(t), kBottom + 32, absl::StrFormat("%g", t), Align::kMiddle, 11);
  Svg::Points best;
  double incumbent = 0;
  for (size_t i = 0; i < ended_.size(); ++i) {
    const v1::Trial& trial = *ended_[i];
    const double at = x.at(static_cast<double>(i) + 1);
    if (std::find(valued_.begin(), valued_.end(), &trial) == valued_.end()) {
      svg.cross(at, kBottom + 10, 3.5, colour::kOrange, about(trial));
      continue;
    }
    mark(svg, at, y.at(value(trial)), trial);
    const double before = incumbent;
    const bool first = best.empty();
    if (first || better(objective_, value(trial), incumbent)) incumbent = value(trial);
    if (!first) best.emplace_back(at, y.at(before));
    best.emplace_back(at, y.at(incumbent));
  }
  svg.path(best, colour::kGreen, 2);
  svg.text((kLeft + kRight) / 2, kBottom + 52, "trials, in the order in which they ended", Align::kMiddle);
  svg.circle(kRight - 330, 44, 3.5, colour::kBlue);
  svg.text(kRight - 322, 48, "finished");
  svg.ring(kRight - 258, 44, 3.5, colour::kPale);
  svg.text(kRight - 250, 48, "stopped early");
  svg.cross(kRight - 154, 44, 3.5, colour::kOrange);
  svg.text(kRight - 146, 48, "failed");
  svg.line(kRight - 96, 44, kRight - 76, 44, colour::kGreen, 2);
  svg.text(kRight - 70, 48, "best so far");
  return svg.str();
}

std::string Plot::parallel() const {
  constexpr double kTop = 96, kBottom = 380, kGap = 150, kAway = kBottom + 22;
  const int axes = spec_.search_size() + 1;
  Svg svg(static_cast<int>(120 + kGap * (axes - 1) + 100), 430);
  heading(svg, "configurations, darker the better");
  const Axis y = values(kBottom, kTop);
  const auto x = [&](int i) { return 80 + kGap * i; };
  std::vector<KeyAxis> keys;
  for (const v1::SearchSpec& s : spec_.search()) keys.emplace_back(s, kBottom, kTop);
  std::vector<const v1::Trial*> order = valued_;  // the best on top
  std::stable_sort(order.begin(), order.end(),
                   [&](auto* a, auto* b) { return better(objective_, value(*b), value(*a)); });
  bool inactive = false;
  for (const v1::Trial* trial : order) {
    Svg::Points points;
    for (int i = 0; i + 1 < axes; ++i) {
      const auto value = trial->params().find(spec_.search(i).key());
      const bool active = value != trial->params().end();
      inactive |= !active;
      points.emplace_back(x(i), active ? keys[static_cast<size_t>(i)].at(value->second) : kAway);
    }
    points.emplace_back(x(axes - 1), y.at(value(*trial)));
    const bool best = trial == order.back();
    const double part = rank(*trial);
    svg.path(points, best ? colour::kOrange : blend("#dbe7f4", colour::kBlue, part * part), best ? 2.5 : 1.2);
  }
  for (int i = 0; i < axes; ++i) {
    svg.line(x(i), kTop, x(i), kBottom, colour::kInk);
    const bool objective = i + 1 == axes;
    svg.text(x(i), kTop - 14, objective ? objective_.metric() : short_key(spec_, spec_.search(i).key()),
             Align::kMiddle);
    if (!objective)
      for (const auto& [at, label] : keys[static_cast<size_t>(i)].labels())
        svg.text(x(i) + 6, at + 4, label, Align::kLeft, 11, colour::kPale);
  }
  for (const double t : y.ticks())
    svg.text(x(axes - 1) + 6, y.at(t) + 4, absl::StrFormat("%g", t), Align::kLeft, 11, colour::kPale);
  if (inactive) svg.text(14, kAway + 4, "inactive", Align::kLeft, 11, colour::kPale);
  return svg.str();
}

constexpr double kPanel = 250, kPanelHeight = 210;

void Plot::slice_of(Svg& svg, const v1::SearchSpec& search, double left, double top) const {
  const double right = left + kPanel - 20, bottom = top + kPanelHeight - 60;
  frame(svg, left, right, top, bottom);
  const KeyAxis x(search, left + 6, right - 6);
  const Axis y = values(bottom, top);
  for (const auto& [at, label] : x.labels()) svg.text(at, bottom + 16, label, Align::kMiddle, 11);
  svg.text((left + right) / 2, bottom + 34, search.key(), Align::kMiddle);
  for (const v1::Trial* trial : valued_)
    if (const auto found = trial->params().find(search.key()); found != trial->params().end())
      mark(svg, x.at(found->second), y.at(value(*trial)), *trial);
}

std::string Plot::slice() const {
  constexpr int kColumns = 3;
  const int rows = (spec_.search_size() + kColumns - 1) / kColumns;
  const int columns = std::min(kColumns, std::max(2, spec_.search_size()));
  Svg svg(static_cast<int>(columns * (kPanel + 50) + 30), static_cast<int>(70 + rows * kPanelHeight));
  heading(svg, absl::StrCat(objective_.metric(), " over each parameter"));
  for (int i = 0; i < spec_.search_size(); ++i)
    slice_of(svg, spec_.search(i), 74 + (kPanel + 50) * (i % kColumns), 74 + kPanelHeight * (i / kColumns));
  return svg.str();
}

// What the objective is drawn over: the other one, or the size of the model.
struct Plot::Across {
  v1::ObjectiveSpec objective;
  std::string title;
  int index;  // of the trials' values; -1: the size

  double at(const v1::Trial& t) const { return index < 0 ? t.params_count() : t.values(index); }
  bool positive() const { return objective.metric() == "params" || objective.metric() == "flops"; }
};

Plot::Across Plot::across() const {
  if (spec_.objectives_size() > 1)
    return {spec_.objectives(1 - goal_), spec_.objectives(1 - goal_).metric(), 1 - goal_};
  Across size{{}, "parameters of the model", -1};
  size.objective.set_metric("params");
  return size;
}

// From the better end on: what is better than all so far is of the front.
Svg::Points Plot::staircase(const std::vector<const v1::Trial*>& trials, const Across& across, const Axis& x,
                            const Axis& y, double end) const {
  Svg::Points front;
  double best = 0;
  for (const v1::Trial* trial : trials) {
    if (!front.empty() && !better(objective_, value(*trial), best)) continue;
    if (!front.empty()) front.emplace_back(x.at(across.at(*trial)), y.at(best));
    best = value(*trial);
    front.emplace_back(x.at(across.at(*trial)), y.at(best));
  }
  front.emplace_back(end, y.at(best));
  return front;
}

absl::StatusOr<std::string> Plot::pareto() const {
  constexpr double kLeft = 84, kRight = 860, kTop = 70, kBottom = 350;
  const Across across = this->across();
  std::vector<const v1::Trial*> shown;
  for (const v1::Trial* t : valued_)
    if (!across.positive() || across.at(*t) > 0) shown.push_back(t);
  if (shown.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("study ", study_.id(), ": the number of parameters of its models is not known"));
  std::stable_sort(shown.begin(), shown.end(), [&](auto* a, auto* b) {
    return across.at(*a) != across.at(*b) ? better(across.objective, across.at(*a), across.at(*b))
                                          : better(objective_, value(*a), value(*b));
  });
  const bool maximize = across.objective.maximize();
  const double one = across.at(*shown.front()), other = across.at(*shown.back());
  const double least = std::min(one, other), most = std::max(one, other), room = (most - least) * 0.05;
  const bool log = across.positive() && most > 10 * least;
  const Axis x = across.positive() ? Axis(least * 0.9, most * 1.1, log, kLeft, kRight)
                                   : Axis(least - room, most + room, false, kLeft, kRight);
  const Axis y = values(kBottom, kTop);
  Svg svg(900, 420);
  heading(svg, absl::StrCat(objective_.metric(), " over ", across.index < 0 ? "the size of the model" : across.title));
  frame(svg, kLeft, kRight, kTop, kBottom);
  for (const double t : x.ticks()) svg.text(x.at(t), kBottom + 18, absl::StrFormat("%g", t), Align::kMiddle, 11);
  for (const v1::Trial* trial : shown) mark(svg, x.at(across.at(*trial)), y.at(value(*trial)), *trial);
  svg.path(staircase(shown, across, x, y, maximize ? kLeft : kRight), colour::kGreen, 2);
  svg.text((kLeft + kRight) / 2, kBottom + 44, across.title, Align::kMiddle);
  return svg.str();
}

}  // namespace

std::vector<std::string> plot_kinds() { return {"history", "parallel", "slice", "pareto"}; }

absl::StatusOr<std::string> plot_study(const v1::Study& study, const Trials& trials, const std::string& kind) {
  const Plot plot(study, trials);
  if (plot.empty())
    return absl::FailedPreconditionError(absl::StrCat("study ", study.id(), ": no trial has ended with a value yet"));
  if (kind == "history") return plot.history();
  if (kind == "parallel") return plot.parallel();
  if (kind == "slice") return plot.slice();
  if (kind == "pareto") return plot.pareto();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", kind, "\" is no plot; there are ", absl::StrJoin(plot_kinds(), ", ")));
}

}  // namespace ds::client

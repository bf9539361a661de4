// Which running trials are hopeless by their reports, and where one that was stopped would have ended.
#pragma once
#include "scheduler/autotune/study.h"

namespace ds::autotune {

// Where a curve of (step, value) will be at `last`: the value, and a deviation of the guess.
struct Forecast {
  double value, deviation;
};
Forecast extrapolate(const std::vector<std::pair<int64_t, double>>& curve, int64_t last);

// Where a trial would end, by what the curves of the finished ones gained from its last step on: a regression on where
// they were then, how steep they were, and where their own shapes led. Nothing of fewer than six that came so far.
std::optional<Forecast> forecast(const std::vector<Trial>& trials, const Trial& trial);

// Spearman's rank correlation, of at least two pairs; 0 where one side is constant.
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

// Gentle first: stops the worst quarter at each rung (1, 2, 4, ... reports). Once ten finished curves show that
// ranks at the rung and at the end agree (correlation above 0.7), only the best third goes on, as in asynchronous
// successive halving; and a trial stops whose curve ends below the best with a probability of 95 %.
bool hopeless(const std::vector<Trial>& trials, const Trial& trial, bool maximize, int64_t least_steps);

}  // namespace ds::autotune

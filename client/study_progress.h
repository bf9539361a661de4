// A study as its trials run: a table that is drawn again at each change on a terminal, else a line a trial.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ds/v1/tune.pb.h"

namespace ds::client {

using Trials = std::vector<v1::Trial>;  // by id

// The best value after each trial that ended with one, in the order in which they ended. Studies of one objective.
std::vector<double> incumbents(const v1::StudySpec& spec, const Trials& trials);
// "▁▃▅▇█", at most `columns` wide; the best is highest, whether it is the largest value or the smallest.
std::string sparkline(const std::vector<double>& values, bool maximize, int columns);
// At the pace of the trials that have ended; < 0: not known.
double seconds_left(const v1::Study& study, const Trials& trials);

// "s-1 trial 12 FINISHED test_accuracy 0.8812, best 0.8912 of trial 7, 13/40 ETA 3m2s"
std::string trial_line(const v1::Study& study, const Trials& trials, const v1::Trial& trial);
// What stands on a terminal of so many columns and lines.
std::string study_screen(const v1::Study& study, const Trials& trials, int columns, int lines);

class StudyProgress {
 public:
  explicit StudyProgress(FILE* out);
  void show(const v1::Study& study, const Trials& trials);
  void lost(const absl::Status& status);

 private:
  void draw(const v1::Study& study, const Trials& trials);
  void print_news(const v1::Study& study, const Trials& trials);
  void clear();

  FILE* const out_;
  const bool terminal_;
  int lines_ = 0;  // that were drawn last
  std::chrono::steady_clock::time_point drawn_{};
  v1::StudyState state_ = v1::STUDY_STATE_UNSPECIFIED;
  std::string reason_;
  std::map<int64_t, v1::TrialState> told_;
};

}  // namespace ds::client

// Predictions against published measurements.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/view.h"
#include "scheduler/plan/calibrate.h"

namespace ds::client {

struct Point {
  std::string label;
  double predicted = 0, measured = 0;  // seconds of a step, or bytes
  bool fits = true;                    // what ran must not be refused
};

struct DataSet {
  std::string name, source;
  std::string judged;  // the goal, or why it is only reported
  std::vector<Point> points;
  // Groups of the same model on the same devices: how much slower than the fastest measured layout the one is that the
  // model takes for the fastest.
  std::vector<double> regrets;
};

// The built-in tables, and vTrain's from `folder` where it holds them. `missing` gets the names of absent files.
std::vector<DataSet> data_sets(const std::string& folder, std::vector<std::string>* missing);

struct Score {
  int n = 0, refused = 0;
  double mean = 0, max = 0, bias = 0, rank = 0;  // of |predicted / measured - 1|; rank: Spearman's correlation
};
Score score(const std::vector<Point>& points);

// One row a data set: {data_set, n, mean, max, bias, rank_correlation, refused, regret_mean, regret_max, goal, source}.
Json validation_document(const std::vector<DataSet>& sets);

// The rows as a table for docs/validation.md, and that page with its table renewed: what stands between the lines
// "<!-- begin: dsctl sim validate -->" and "<!-- end -->". InvalidArgument where they are not there.
std::string validation_markdown(const Json& rows);
absl::StatusOr<std::string> renewed(const std::string& page, const std::string& table);

// The mean error over all built-in rows of step times, and how many they are.
struct ErrorBar {
  double mean = 0;
  int rows = 0;
};
ErrorBar error_bar();
// "simulated, validated to 5 % on 120 published points"
std::string simulated();

}  // namespace ds::client

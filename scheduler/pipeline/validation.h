// The simulator against published bubble rates. Pure: rows in, predictions out.
#pragma once
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

// A setting of the Zero Bubble paper (arXiv 2401.10241): a line of scheduler/data/zero_bubble.csv.
struct ZeroBubbleSetting {
  std::string model;  // "6.2B"
  int hidden = 0, heads = 0, sequence = 0;
  int stages = 0, micro_batches = 0;
  int chunks = 0;                            // of the interleaved schedule
  double f = 0, b = 0, w = 0, transfer = 0;  // of a stage; any unit
  std::vector<std::string> schedules;        // by our names
  std::vector<double> published;             // bubble rates, one a schedule
};

struct BubblePrediction {
  std::string model, schedule;
  int stages = 0, micro_batches = 0;
  double published = 0;
  double predicted = 0;  // counted as the paper does (Costs::wrap_waits_once)
  double strict = 0;     // every transfer waited for: differs for the interleaved schedule alone
};

// The text of scheduler/data/zero_bubble.csv.
const char* zero_bubble_data();

// Reads it; lines that start with # are comments. InvalidArgument names the line.
absl::StatusOr<std::vector<ZeroBubbleSetting>> parse_zero_bubble(const std::string& text);

// What a schedule is asked for in that setting: its times, and the memory that its paper counts (B frees all but 32 of
// 34 + 5 heads sequence / hidden bytes).
Request request_of(const ZeroBubbleSetting& setting, const std::string& schedule);

// One prediction a setting and schedule, in their order.
absl::StatusOr<std::vector<BubblePrediction>> predict(const std::vector<ZeroBubbleSetting>& settings);

}  // namespace ds::pipeline

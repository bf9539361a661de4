// Published bubble rates of pipeline schedules.
#include "absl/strings/str_cat.h"
#include "client/planning/datasets.h"
#include "scheduler/pipeline/validation.h"

namespace ds::client {

// As times of a step in units of its work, 1 / (1 - bubble): a relative error of a bubble that is nearly nothing would
// say nothing.
void add_bubble_sets(std::vector<DataSet>* sets) {
  const std::string source = "arXiv 2401.10241 tables 5 and 8";
  DataSet made{"zero-bubble-handcrafted", source, "bubble rate within 0.001", {}, {}};
  DataSet searched{"zero-bubble-searched", source, "bubble rate at most 0.005 above", {}, {}};
  // The table is part of the program: one that cannot be read ends it, with what is wrong.
  const auto settings = pipeline::parse_zero_bubble(pipeline::zero_bubble_data()).value();
  const auto rows = pipeline::predict(settings).value();
  for (const pipeline::BubblePrediction& row : rows) {
    const bool by_search = row.schedule == "zb-1p" || row.schedule == "zb-2p" || row.schedule == "zb-v";
    (by_search ? searched : made)
        .points.push_back({absl::StrCat(row.schedule, " ", row.model, " ", row.stages, " x ", row.micro_batches),
                           1 / (1 - row.predicted), 1 / (1 - row.published)});
  }
  sets->push_back(made);
  sets->push_back(searched);
}

}  // namespace ds::client

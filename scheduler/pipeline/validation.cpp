#include "scheduler/pipeline/validation.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "scheduler/pipeline/simulate.h"

namespace ds::pipeline {
namespace {

constexpr size_t settings_columns = 12;  // before the schedules

bool read_setting(const std::vector<std::string>& titles, const std::vector<std::string>& cells,
                  ZeroBubbleSetting& out) {
  if (cells.size() != titles.size() || cells.size() <= settings_columns) return false;
  out.model = cells[1];
  int* const whole[] = {&out.hidden, &out.heads, &out.sequence, &out.stages, &out.micro_batches, &out.chunks};
  for (size_t i = 0; i < std::size(whole); ++i) {
    if (!absl::SimpleAtoi(cells[2 + i], whole[i]) || *whole[i] < 1) return false;
  }
  double* const times[] = {&out.f, &out.b, &out.w, &out.transfer};
  for (size_t i = 0; i < std::size(times); ++i) {
    if (!absl::SimpleAtod(cells[8 + i], times[i])) return false;
  }
  for (size_t i = settings_columns; i < cells.size(); ++i) {
    if (cells[i].empty()) continue;
    out.schedules.push_back(titles[i]);
    if (!absl::SimpleAtod(cells[i], &out.published.emplace_back())) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<ZeroBubbleSetting>> parse_zero_bubble(const std::string& text) {
  std::vector<ZeroBubbleSetting> settings;
  std::vector<std::string> titles;
  int number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> cells = absl::StrSplit(line, ',');
    if (titles.empty()) {
      titles = cells;
      continue;
    }
    if (!read_setting(titles, cells, settings.emplace_back())) {
      return absl::InvalidArgumentError(absl::StrCat("[zero bubble data] line ", number, " is not a setting: ", line));
    }
  }
  return settings;
}

Request request_of(const ZeroBubbleSetting& setting, const std::string& schedule) {
  auto row = find_generator(schedule);
  Request request;
  request.stages = setting.stages;
  request.micro_batches = setting.micro_batches;
  request.chunks = !row.ok() ? 1 : (*row)->any_chunks ? setting.chunks : (*row)->default_chunks;
  request.costs = Costs::even(setting.f, setting.b, setting.w, setting.transfer, request.chunks);
  request.costs.held_for_weights = 32.0 / (34 + 5.0 * setting.heads * setting.sequence / setting.hidden);
  return request;
}

absl::StatusOr<std::vector<BubblePrediction>> predict(const std::vector<ZeroBubbleSetting>& settings) {
  std::vector<BubblePrediction> predictions;
  for (const ZeroBubbleSetting& setting : settings) {
    for (size_t i = 0; i < setting.schedules.size(); ++i) {
      Request request = request_of(setting, setting.schedules[i]);
      auto schedule = make_schedule(setting.schedules[i], request);
      if (!schedule.ok()) return schedule.status();
      auto strict = simulate(*schedule, request.costs);
      request.costs.wrap_waits_once = true;
      auto paper = simulate(*schedule, request.costs);
      if (!strict.ok() || !paper.ok()) return strict.ok() ? paper.status() : strict.status();
      predictions.push_back({setting.model, setting.schedules[i], setting.stages, setting.micro_batches,
                             setting.published[i], paper->bubble, strict->bubble});
    }
  }
  return predictions;
}

}  // namespace ds::pipeline

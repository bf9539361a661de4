#include "client/study_views.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/documents.h"
#include "client/study_documents.h"

namespace ds::client {
namespace {

bool is_front(const Json& best) { return best.contains("front"); }

// "trial 12: 0.8899 [0.8871, 0.8927]"
std::string best_cell(const Json& study) {
  const Json& best = study["best"];
  if (best.is_null()) return "-";
  const std::string trial = absl::StrCat("trial ", best["trial"].get<int64_t>());
  if (is_front(best)) return absl::StrCat(trial, ", the knee of a front of ", best["front"].size());
  return absl::StrCat(trial, ": ", value_text(best["mean"].get<double>()), " [", value_text(best["low"].get<double>()),
                      ", ", value_text(best["high"].get<double>()), "]");
}

std::string observed_cell(const Json& study) {
  const Json& best = study["best"];
  if (best.is_null() || is_front(best)) return "-";
  return absl::StrCat("trial ", best["best_observed"].get<int64_t>(), ": ",
                      value_text(best["best_value"].get<double>()));
}

std::string trials_cell(const Json& study) {
  return absl::StrCat(study["trials_finished"].get<int64_t>() + study["trials_failed"].get<int64_t>(), "/",
                      study["spec"]["budget"]["trials"].get<int64_t>());
}

// Of a script that says itself how long it trains, by what other trials took.
std::string saved_cell(const Json& study) {
  const std::string saved = study["epochs_saved"].dump();
  return study["spec"]["budget"].contains("max_epochs") || saved == "0" ? saved : absl::StrCat("about ", saved);
}

std::string objective_cell(const Json& study) {
  std::vector<std::string> parts;
  const Json& given = study["spec"]["objective"];
  for (const Json& one : given.is_array() ? given : Json::array({given}))
    for (const auto& [direction, metric] : one.items())
      parts.push_back(absl::StrCat(direction, " ", metric.get<std::string>()));
  return parts.empty() ? "-" : absl::StrJoin(parts, ", ");
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::function<std::string(const Json&)> param_cell(const std::string& key) {
  return [key](const Json& trial) -> std::string {
    const auto value = trial["params"].find(key);
    if (value == trial["params"].end()) return "-";
    return value->is_number_float() ? absl::StrFormat("%.4g", value->get<double>())
           : value->is_string()     ? value->get<std::string>()
                                    : value->dump();
  };
}

std::function<std::string(const Json&)> value_cell(const std::string& metric) {
  return [metric](const Json& row) -> std::string {
    const auto value = row["values"].find(metric);
    return value == row["values"].end() ? "-" : value_text(metric, value->get<double>());
  };
}

std::string epochs_cell(const Json& trial) {
  return trial["reports"].empty() ? "-" : trial["reports"].back()["step"].dump();
}

std::string outcome_cell(const Json& trial) {
  const std::string failure = trial["failure"], state = trial["state"];
  return failure.empty() ? state : absl::StrCat(state, " ", failure);
}

}  // namespace

View study_view(const v1::Study& study) {
  return {study_document(study),
          {{"ID", text_at("/id")},
           {"NAME", text_at("/name")},
           {"STATE", text_at("/state")},
           {"REASON", text_at("/reason")},
           {"OBJECTIVE", objective_cell},
           {"TRIALS", trials_cell},
           {"RUNNING", text_at("/trials_running")},
           {"FAILED", text_at("/trials_failed")},
           {"RECOMMENDED", best_cell},
           {"BEST OBSERVED", observed_cell},
           {"EPOCHS", text_at("/epochs")},
           {"EPOCHS SAVED", saved_cell},
           {"RETRAIN JOB", text_at("/retrain_job")},
           {"CREATED", text_at("/created_at")},
           {"FINISHED", text_at("/finished_at")}}};
}

View studies_view(const std::vector<v1::Study>& studies) {
  View view{Json::array(),
            {{"ID", text_at("/id")},
             {"NAME", text_at("/name")},
             {"STATE", text_at("/state")},
             {"TRIALS", trials_cell},
             {"RUNNING", text_at("/trials_running")},
             {"FAILED", text_at("/trials_failed")},
             {"OBJECTIVE", objective_cell},
             {"RECOMMENDED", best_cell},
             {"AGE", age_at("/created_at")},
             {"REASON", text_at("/reason")}},
            "no studies; submit one with `dsctl tune submit FILE`"};
  for (const v1::Study& study : studies) view.document.push_back(study_document(study));
  return view;
}

View trials_view(const v1::Study& study, const std::vector<v1::Trial>& trials) {
  View view{Json::array(), {{"TRIAL", text_at("/id")}, {"STATE", outcome_cell}}, "no trials yet"};
  bool sized = false;
  for (const v1::ObjectiveSpec& o : study.spec().objectives()) {
    view.columns.push_back({absl::AsciiStrToUpper(o.metric()), value_cell(o.metric())});
    sized |= o.metric() == "params";
  }
  view.columns.push_back({"EPOCHS", epochs_cell});
  for (const v1::SearchSpec& search : study.spec().search())
    view.columns.push_back({absl::AsciiStrToUpper(short_key(study.spec(), search.key())), param_cell(search.key())});
  if (!sized) view.columns.push_back({"PARAMS", number_at("/params_count", 6)});
  for (const Column& column :
       {Column{"SOURCE", text_at("/source")}, Column{"JOB", text_at("/job")}, Column{"REASON", text_at("/reason")}})
    view.columns.push_back(column);
  for (const v1::Trial& trial : trials) view.document.push_back(trial_document(study, trial));
  return view;
}

View best_view(const Json& best) {
  View view{best, {{"STUDY", text_at("/study")}, {"TRIAL", text_at("/trial")}}};
  if (best.contains("mean")) {
    view.columns.push_back({"METRIC", text_at("/metric")});
    view.columns.push_back({"MEAN", [](const Json& b) {
                              return absl::StrCat(value_text(b["mean"].get<double>()), ", 95 % within [",
                                                  value_text(b["low"].get<double>()), ", ",
                                                  value_text(b["high"].get<double>()), "]");
                            }});
    view.columns.push_back({"BEST OBSERVED", [](const Json& b) { return observed_cell({{"best", b}}); }});
  } else {
    for (const auto& [metric, value] : best["values"].items())
      view.columns.push_back({absl::AsciiStrToUpper(metric), value_cell(metric)});
  }
  for (const auto& [key, value] : best["params"].items())
    view.columns.push_back({key, [text = text_of(value)](const Json&) { return text; }});
  return view;
}

View front_view(const v1::Study& study, const std::vector<v1::Trial>& trials) {
  View view{
      front_document(study, trials), {{"TRIAL", text_at("/trial")}}, "no front yet: no trial has ended with values"};
  for (const v1::ObjectiveSpec& o : study.spec().objectives())
    view.columns.push_back({absl::AsciiStrToUpper(o.metric()), value_cell(o.metric())});
  for (const v1::SearchSpec& search : study.spec().search())
    view.columns.push_back({absl::AsciiStrToUpper(short_key(study.spec(), search.key())), param_cell(search.key())});
  view.columns.push_back({"", [](const Json& row) { return std::string(row["knee"].get<bool>() ? "knee" : ""); }});
  return view;
}

View importance_view(const std::vector<v1::ParameterImportance>& parameters) {
  constexpr int kBar = 30;
  View view{Json::array(),
            {{"KEY", text_at("/key")},
             {"MAIN", number_at("/main", 3)},
             {"TOTAL", number_at("/total", 3)},
             {"",
              [](const Json& row) {
                const double total = std::clamp(row["total"].get<double>(), 0.0, 1.0);
                return std::string(static_cast<size_t>(std::lround(total * kBar)), '#');
              }}},
            "no parameters"};
  for (const v1::ParameterImportance& p : parameters)
    view.document.push_back({{"key", p.key()}, {"main", p.main()}, {"total", p.total()}});
  return view;
}

}  // namespace ds::client

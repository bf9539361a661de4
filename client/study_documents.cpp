#include "client/study_documents.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/documents.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_spec.h"

namespace ds::client {
namespace {

bool is_size(const std::string& metric) { return metric == "params" || metric == "flops"; }

Json params_of(const v1::StudySpec& spec, const v1::Trial& trial) {
  Json params = Json::object();
  for (const v1::SearchSpec& search : spec.search())
    if (const auto value = trial.params().find(search.key()); value != trial.params().end())
      params[search.key()] = Json::parse(spec::value_json(spec, search.key(), value->second));
  return params;
}

// Numbers by their objectives.
Json by_metric(const v1::StudySpec& spec, const google::protobuf::RepeatedField<double>& values) {
  Json out = Json::object();
  for (int i = 0; i < std::min(values.size(), spec.objectives_size()); ++i)
    out[spec.objectives(i).metric()] = values[i];
  return out;
}

Json best_of(const v1::Study& study) {
  if (!study.has_best()) return nullptr;
  const v1::Recommendation& best = study.best();
  if (best.front().empty())
    return {{"trial", best.trial()},
            {"mean", best.mean()},
            {"low", best.low()},
            {"high", best.high()},
            {"best_observed", best.best_observed()},
            {"best_value", best.best_value()}};
  Json front = Json::array();
  for (const v1::FrontTrial& f : best.front())
    front.push_back({{"trial", f.trial()}, {"means", by_metric(study.spec(), f.means())}});
  return {{"trial", best.trial()}, {"front", front}};
}

double seconds_of(const v1::Trial& trial) {
  return trial.started_at_us() > 0 && trial.finished_at_us() > 0
             ? static_cast<double>(trial.finished_at_us() - trial.started_at_us()) * 1e-6
             : 0;
}

// RFC 4180.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

const v1::Trial* trial_of(const std::vector<v1::Trial>& trials, int64_t id) {
  const auto found = std::find_if(trials.begin(), trials.end(), [&](const v1::Trial& t) { return t.id() == id; });
  return found == trials.end() ? nullptr : &*found;
}

}  // namespace

std::string state_name(v1::StudyState state) {
  return std::string(absl::StripPrefix(v1::StudyState_Name(state), "STUDY_"));
}

std::string state_name(v1::TrialState state) {
  return std::string(absl::StripPrefix(v1::TrialState_Name(state), "TRIAL_"));
}

std::string value_text(double value) { return absl::StrFormat("%.4g", value); }

std::string value_text(const std::string& metric, double value) {
  return is_size(metric) ? absl::StrFormat("%.6g", value) : value_text(value);
}

std::string short_key(const v1::StudySpec& spec, const std::string& key) {
  const std::string last = key.substr(key.rfind('.') + 1);
  const auto same = [&](const v1::SearchSpec& s) { return absl::EndsWith(s.key(), "." + last) || s.key() == last; };
  return std::count_if(spec.search().begin(), spec.search().end(), same) > 1 ? key : last;
}

std::string values_text(const v1::StudySpec& spec, const google::protobuf::RepeatedField<double>& values) {
  std::vector<std::string> parts;
  for (int i = 0; i < std::min(values.size(), spec.objectives_size()); ++i) {
    const std::string& metric = spec.objectives(i).metric();
    parts.push_back(absl::StrCat(metric, " ", value_text(metric, values[i])));
  }
  return absl::StrJoin(parts, ", ");
}

bool better(const v1::ObjectiveSpec& objective, double a, double b) { return objective.maximize() ? a > b : a < b; }

int measured_objective(const v1::StudySpec& spec) {
  return spec.objectives_size() > 1 && is_size(spec.objectives(0).metric()) ? 1 : 0;
}

Json study_document(const v1::Study& study) {
  return {{"id", study.id()},
          {"name", study.spec().name()},
          {"state", state_name(study.state())},
          {"reason", study.reason()},
          {"trials_finished", study.trials_finished()},
          {"trials_failed", study.trials_failed()},
          {"trials_running", study.trials_running()},
          {"best", best_of(study)},
          {"retrain_job", study.retrain_job()},
          {"created_at", time_or_null(study.created_at_us())},
          {"finished_at", time_or_null(study.finished_at_us())},
          {"epochs", study.epochs()},
          {"epochs_saved", study.epochs_saved()},
          {"revision", study.revision()},
          {"spec", Json::parse(spec::to_json(study.spec(), -1))}};
}

Json trial_document(const v1::Study& study, const v1::Trial& trial) {
  Json reports = Json::array();
  for (const v1::TrialReport& r : trial.reports()) reports.push_back({{"step", r.step()}, {"value", r.values(0)}});
  return {{"id", trial.id()},
          {"state", state_name(trial.state())},
          {"params", params_of(study.spec(), trial)},
          {"source", trial.source()},
          {"resumed", trial.resumed()},
          {"job", trial.job()},
          {"value", trial.values_size() == 1 ? Json(trial.values(0)) : Json(nullptr)},
          {"values", by_metric(study.spec(), trial.values())},
          {"failure", failure_name(trial.failure())},
          {"reason", trial.reason()},
          {"reports", reports},
          {"started_at", time_or_null(trial.started_at_us())},
          {"finished_at", time_or_null(trial.finished_at_us())},
          {"params_count", trial.params_count() > 0 ? Json(trial.params_count()) : Json(nullptr)},
          {"flops", trial.flops() > 0 ? Json(trial.flops()) : Json(nullptr)},
          {"point", std::vector<double>(trial.point().begin(), trial.point().end())}};
}

absl::StatusOr<Json> best_document(const v1::Study& study, const std::vector<v1::Trial>& trials, int64_t wanted) {
  if (wanted < 0 && !study.has_best())
    return absl::FailedPreconditionError(
        absl::StrCat("study ", study.id(), " recommends nothing yet: no trial has ended with a value"));
  const int64_t id = wanted < 0 ? study.best().trial() : wanted;
  const v1::Trial* trial = trial_of(trials, id);
  if (trial == nullptr && wanted >= 0)
    return absl::NotFoundError(
        absl::StrCat("study ", study.id(), " has no trial ", wanted, "; it has ", trials.size()));
  if (trial == nullptr)
    return absl::InternalError(
        absl::StrCat("study ", study.id(), " recommends trial ", id, ", which the coordinator does not list"));
  auto job = spec::trial_job(study.spec(), trial->id(), {trial->params().begin(), trial->params().end()});
  if (!job.ok()) return job.status();
  Json best = {{"study", study.id()}, {"trial", id}};
  if (wanted < 0) best.update(best_of(study));
  if (wanted < 0 && study.spec().objectives_size() == 1) best["metric"] = study.spec().objectives(0).metric();
  best["values"] = by_metric(study.spec(), trial->values());
  best["params"] = params_of(study.spec(), *trial);
  best["job"] = Json::parse(spec::to_json(*job, -1));
  return best;
}

Json front_document(const v1::Study& study, const std::vector<v1::Trial>& trials) {
  Json front = Json::array();
  for (const v1::FrontTrial& f : study.best().front()) {
    const v1::Trial* trial = trial_of(trials, f.trial());
    front.push_back({{"trial", f.trial()},
                     {"values", by_metric(study.spec(), f.means())},
                     {"params", trial ? params_of(study.spec(), *trial) : Json::object()},
                     {"knee", f.trial() == study.best().trial()}});
  }
  return front;
}

std::string trials_csv(const v1::Study& study, const std::vector<v1::Trial>& trials) {
  const auto& objectives = study.spec().objectives();
  std::vector<std::string> head = {"trial", "state"};
  for (const v1::ObjectiveSpec& o : objectives) head.push_back(o.metric());
  for (const char* name : {"failure", "epochs", "seconds", "source", "job", "params_count"}) head.emplace_back(name);
  const bool flops = std::find(head.begin(), head.end(), "flops") == head.end();  // else it stands among the objectives
  if (flops) head.emplace_back("flops");
  for (const v1::SearchSpec& search : study.spec().search()) head.push_back(search.key());
  std::string out = absl::StrJoin(head, ",") + "\n";
  for (const v1::Trial& trial : trials) {
    const int64_t epochs = trial.reports().empty() ? 0 : trial.reports().rbegin()->step();
    std::vector<std::string> line = {absl::StrCat(trial.id()), state_name(trial.state())};
    for (int i = 0; i < objectives.size(); ++i)
      line.push_back(i < trial.values_size() ? absl::StrFormat("%.17g", trial.values(i)) : "");
    for (const std::string& cell :
         {failure_name(trial.failure()), absl::StrCat(epochs), absl::StrFormat("%.6f", seconds_of(trial)),
          trial.source(), trial.job(), absl::StrFormat("%.17g", trial.params_count())})
      line.push_back(cell);
    if (flops) line.push_back(absl::StrFormat("%.17g", trial.flops()));
    for (const v1::SearchSpec& search : study.spec().search()) {
      const auto value = trial.params().find(search.key());
      line.push_back(value == trial.params().end() ? "" : value->second);
    }
    for (std::string& cell : line) cell = csv_cell(cell);
    absl::StrAppend(&out, absl::StrJoin(line, ","), "\n");
  }
  return out;
}

}  // namespace ds::client

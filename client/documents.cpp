#include "client/documents.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "proto/digest/digest.h"
#include "proto/spec/job_spec.h"
#include "scheduler/plan/data_parallel.h"

namespace ds::client {
namespace {

// A script's own metrics.
template <class Message>
Json reported_of(const Message& m) {
  Json out = Json::object();
  for (const auto& [name, value] : std::map<std::string, double>(m.reported().begin(), m.reported().end()))
    out[name] = value;
  return out;
}

Json metrics_of(const v1::Job& job) {
  const v1::JobMetrics& m = job.metrics();
  const auto known = [&](bool has, double value) { return has ? Json(value) : Json(nullptr); };
  return {{"loss", known(m.has_loss() && job.progress().step() > 0, m.loss())},
          {"test_accuracy", known(m.has_test_accuracy(), m.test_accuracy())},
          {"test_loss", known(m.has_test_loss(), m.test_loss())},
          {"samples_per_second", known(job.has_metrics(), m.samples_per_second())},
          {"train_seconds", known(job.has_metrics(), m.train_seconds())},
          {"reported", reported_of(m)}};
}

Json ranks_of(const v1::Job& job) {
  Json ranks = Json::array();
  for (const v1::RankStatus& r : job.ranks())
    ranks.push_back({{"rank", r.rank()},
                     {"worker", r.worker()},
                     {"device", r.device()},
                     {"pid", r.pid()},
                     {"state", std::string(absl::StripPrefix(v1::RankState_Name(r.state()), "RANK_"))},
                     {"detail", r.detail()}});
  return ranks;
}

// Of a job with data_parallel: auto, from its first start on; else null. `measured_step_seconds`: of the last step.
Json plan_of(const v1::Job& job) {
  if (!job.has_plan()) return nullptr;
  const v1::Plan& plan = job.plan();
  Json alternatives = Json::array();
  for (const v1::PlanAlternative& a : plan.alternatives())
    alternatives.push_back(
        {{"data_parallel", a.data_parallel()}, {"step_seconds", a.step_seconds()}, {"why", a.why()}});
  const double rate = job.metrics().samples_per_second();
  const double batch = static_cast<double>(job.spec().train().batch_size());
  return {{"data_parallel", plan.data_parallel()},
          {"step_seconds", plan.step_seconds()},
          {"measured_step_seconds", rate > 0 ? Json(batch / rate) : Json(nullptr)},
          {"one_rank_seconds", plan.one_rank_seconds()},
          {"parts",
           {{"compute", plan.parts().compute()},
            {"optimizer", plan.parts().optimizer()},
            {"all_reduce", plan.parts().all_reduce()}}},
          {"why", plan.why()},
          {"alternatives", alternatives}};
}

std::string plan_cell(const Json& job) {
  const Json& plan = job["plan"];
  if (plan.is_null()) return "-";
  std::string out = plan["why"].get<std::string>();
  if (const Json& measured = plan["measured_step_seconds"]; !measured.is_null())
    absl::StrAppend(&out, "; measured ", plan::step_text(measured.get<double>()));
  for (const Json& a : plan["alternatives"])
    absl::StrAppend(&out, "; ", a["data_parallel"].get<int>(), ": ", plan::step_text(a["step_seconds"].get<double>()),
                    ", ", a["why"].get<std::string>());
  return out;
}

Json rates_of(const v1::SlotRates& rates) {
  return {{"matmul_flops", rates.matmul_flops()},
          {"conv_flops", rates.conv_flops()},
          {"memory_bytes_per_second", rates.memory_bytes()},
          {"kernel_seconds", rates.kernel_seconds()}};
}

Json constants_of(const v1::Worker& worker) {
  if (!worker.has_constants()) return nullptr;
  const v1::Constants& c = worker.constants();
  return {{"alone", rates_of(c.alone())},
          {"busy", rates_of(c.busy())},
          {"ranks", c.ranks()},
          {"all_reduce_seconds", c.all_reduce_seconds()},
          {"all_reduce_bytes_per_second", c.all_reduce_bytes()},
          {"transport", c.transport()}};
}

// "12/2345", or "12" where the end is not known yet.
std::string step_cell(const Json& job) {
  const int64_t step = job["progress"]["step"], total = job["progress"]["total_steps"];
  return total > 0 ? absl::StrCat(step, "/", total) : absl::StrCat(step);
}

// "mlp", "graph sha256:0123456789ab", "script sha256:... --epochs 3 lr=0.1"
std::string model_cell(const Json& job) {
  const Json& model = job["spec"].value("model", Json::object());
  for (const char* kind : {"graph", "script"}) {
    if (!model.contains(kind)) continue;
    std::string out = absl::StrCat(kind, " ", digest::brief(model[kind].get<std::string>()));
    for (const Json& word : model.value("args", Json::array())) absl::StrAppend(&out, " ", word.get<std::string>());
    const Json params = model.value("params", Json::object());
    for (const auto& [name, value] : params.items())
      absl::StrAppend(&out, " ", name, "=", value.is_string() ? value.get<std::string>() : value.dump());
    return out;
  }
  return model.value("family", "");
}

// "s-1 trial 12"
std::string study_cell(const Json& job) {
  const std::string study = job["study"];
  if (study.empty()) return "-";
  return job["trial"].is_null() ? absl::StrCat(study, ", retrained")
                                : absl::StrCat(study, " trial ", job["trial"].dump());
}

// "bleu 31.2, val/f1 0.25"
std::string reported_cell(const Json& reported) {
  std::string out;
  for (const auto& [name, value] : reported.items())
    absl::StrAppend(&out, out.empty() ? "" : ", ", name, " ", absl::StrFormat("%.4g", value.get<double>()));
  return out.empty() ? "-" : out;
}

std::string ranks_cell(const Json& job) {
  std::string out;
  for (const Json& r : job["ranks"])
    absl::StrAppend(&out, out.empty() ? "" : ", ", r["rank"].get<int>(), " on ", r["worker"].get<std::string>(), " ",
                    r["device"].get<std::string>(), " ", r["state"].get<std::string>(),
                    r["state"] == "ASSIGNED" && r["detail"] != "" ? " " + r["detail"].get<std::string>() : "");
  return out;
}

std::vector<Column> worker_columns() {
  return {{"NAME", text_at("/name")},
          {"STATE", text_at("/state")},
          {"SLOTS", text_at("/slots")},
          {"FREE", text_at("/free_slots")},
          {"HEARTBEAT", age_at("/last_heartbeat_at")},
          {"LOST SINCE", age_at("/lost_since")},
          {"METRICS", text_at("/metrics_address")}};
}

}  // namespace

Json time_or_null(int64_t microseconds) {
  if (microseconds == 0) return nullptr;
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMicros(microseconds), absl::UTCTimeZone());
}

std::string state_name(v1::JobState state) { return v1::JobState_Name(state); }

std::string failure_name(v1::FailureClass failure) {
  if (failure == v1::FAILURE_UNSPECIFIED) return "";
  return absl::AsciiStrToLower(absl::StripPrefix(v1::FailureClass_Name(failure), "FAILURE_"));
}

Json job_document(const v1::Job& job) {
  return {{"id", job.id()},
          {"name", job.spec().name()},
          {"state", state_name(job.state())},
          {"reason", job.reason()},
          {"failure", failure_name(job.failure())},
          {"study", job.study()},
          {"trial", job.has_trial() ? Json(job.trial()) : Json(nullptr)},
          {"generation", job.generation()},
          {"restarts", job.restarts()},
          {"priority", job.spec().priority()},
          {"progress",
           {{"step", job.progress().step()},
            {"total_steps", job.progress().total_steps()},
            {"epoch", job.progress().epoch()}}},
          {"metrics", metrics_of(job)},
          {"ranks", ranks_of(job)},
          {"plan", plan_of(job)},
          {"created_at", time_or_null(job.created_at_us())},
          {"started_at", time_or_null(job.started_at_us())},
          {"finished_at", time_or_null(job.finished_at_us())},
          {"checkpoint", job.checkpoint()},
          {"warning", job.warning()},
          {"revision", job.revision()},
          {"spec", Json::parse(spec::to_json(job.spec(), -1))}};
}

Json metric_document(const v1::MetricRecord& r) {
  Json out = {{"kind", r.kind().empty() ? "train" : r.kind()},
              {"step", r.step()},
              {"epoch", r.epoch()},
              {"time", r.time()},
              {"loss", r.has_loss() ? Json(r.loss()) : Json(nullptr)}};
  if (r.kind() == "eval") {
    out["test_accuracy"] = r.has_accuracy() ? Json(r.accuracy()) : Json(nullptr);
    out["reported"] = reported_of(r);
  } else {
    out["samples_per_second"] = r.samples_per_second();
    out["samples"] = r.samples();
    out["step_seconds"] = r.step_seconds();
    out["lr"] = r.lr();
    out["sample_hash"] = absl::StrCat(r.sample_hash());  // as text: many readers of JSON keep 53 bits only
  }
  out["generation"] = r.generation();
  return out;
}

Json worker_document(const v1::Worker& worker) {
  Json labels = Json::object();
  for (const auto& [key, value] : std::map<std::string, std::string>(worker.labels().begin(), worker.labels().end()))
    labels[key] = value;
  return {{"name", worker.name()},
          {"state", std::string(absl::StripPrefix(v1::WorkerState_Name(worker.state()), "WORKER_"))},
          {"slots", worker.slots()},
          {"free_slots", worker.free_slots()},
          {"labels", labels},
          {"incarnation", worker.incarnation()},
          {"last_heartbeat_at", time_or_null(worker.last_heartbeat_us())},
          {"lost_since", time_or_null(worker.lost_since_us())},
          {"metrics_address", worker.metrics_address()},
          {"constants", constants_of(worker)}};
}

View job_view(const v1::Job& job) {
  return {job_document(job),
          {{"ID", text_at("/id")},
           {"NAME", text_at("/name")},
           {"MODEL", model_cell},
           {"STATE", text_at("/state")},
           {"REASON", text_at("/reason")},
           {"FAILURE", text_at("/failure")},
           {"STUDY", study_cell},
           {"WARNING", text_at("/warning")},
           {"STEP", step_cell},
           {"EPOCH", text_at("/progress/epoch")},
           {"LOSS", number_at("/metrics/loss", 6)},
           {"TEST ACCURACY", number_at("/metrics/test_accuracy", 4)},
           {"REPORTED", [](const Json& j) { return reported_cell(j["metrics"]["reported"]); }},
           {"SAMPLES/S", number_at("/metrics/samples_per_second", 5)},
           {"TRAIN SECONDS", number_at("/metrics/train_seconds", 4)},
           {"RANKS", ranks_cell},
           {"PLAN", plan_cell},
           {"GENERATION", text_at("/generation")},
           {"RESTARTS", text_at("/restarts")},
           {"CREATED", text_at("/created_at")},
           {"STARTED", text_at("/started_at")},
           {"FINISHED", text_at("/finished_at")},
           {"CHECKPOINT", text_at("/checkpoint")}}};
}

View jobs_view(const std::vector<v1::Job>& jobs) {
  View view{Json::array(),
            {{"ID", text_at("/id")},
             {"NAME", text_at("/name")},
             {"STATE", text_at("/state")},
             {"STEP", step_cell},
             {"LOSS", number_at("/metrics/loss", 4)},
             {"ACCURACY", number_at("/metrics/test_accuracy", 4)},
             {"RANKS", [](const Json& job) { return absl::StrCat(job["ranks"].size()); }},
             {"AGE", age_at("/created_at")},
             {"REASON", text_at("/reason")}},
            "no jobs; submit one with `dsctl job submit FILE`"};
  for (const v1::Job& job : jobs) view.document.push_back(job_document(job));
  return view;
}

View metrics_view(const std::vector<v1::MetricRecord>& records) {
  View view{Json::array(),
            {{"KIND", text_at("/kind")},
             {"STEP", text_at("/step")},
             {"EPOCH", text_at("/epoch")},
             {"LOSS", number_at("/loss", 6)},
             {"SAMPLES/S", number_at("/samples_per_second", 5)},
             {"ACCURACY", number_at("/test_accuracy", 4)}},
            "no metrics yet"};
  const bool own = std::any_of(records.begin(), records.end(), [](const auto& r) { return !r.reported().empty(); });
  if (own)
    view.columns.push_back(
        {"REPORTED", [](const Json& r) { return reported_cell(r.value("reported", Json::object())); }});
  for (const v1::MetricRecord& record : records) view.document.push_back(metric_document(record));
  return view;
}

View worker_view(const v1::Worker& worker) { return {worker_document(worker), worker_columns()}; }

View workers_view(const std::vector<v1::Worker>& workers) {
  View view{Json::array(), worker_columns(), "no workers; start one with `ds-worker --coordinator HOST:PORT`"};
  for (const v1::Worker& worker : workers) view.document.push_back(worker_document(worker));
  return view;
}

View artifacts_view(const std::vector<v1::Artifact>& artifacts) {
  View view{Json::array(),
            {{"DIGEST", text_at("/digest")},
             {"SIZE", text_at("/size")},
             {"AGE", age_at("/stored_at")},
             {"JOBS",
              [](const Json& artifact) {
                std::string out;
                for (const Json& job : artifact["jobs"])
                  absl::StrAppend(&out, out.empty() ? "" : ", ", job.get<std::string>());
                return out;
              }}},
            "no artifacts; a job file that names a graph, a script or tensors uploads them"};
  for (const v1::Artifact& artifact : artifacts)
    view.document.push_back({{"id", artifact.digest()},
                             {"digest", artifact.digest()},
                             {"size", artifact.size()},
                             {"stored_at", time_or_null(artifact.stored_at_us())},
                             {"jobs", std::vector<std::string>(artifact.jobs().begin(), artifact.jobs().end())}});
  return view;
}

Json result_document(const v1::Job& job) {
  const Json metrics = metrics_of(job);
  return {{"job", job.id()},
          {"state", state_name(job.state())},
          {"test_accuracy", metrics["test_accuracy"]},
          {"train_seconds", metrics["train_seconds"]},
          {"ranks", job.has_plan() ? job.plan().data_parallel() : job.spec().strategy().data_parallel()}};
}

}  // namespace ds::client

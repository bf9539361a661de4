#include "coordinator/http.h"

#include <civetweb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace ds::coordinator {
namespace {

constexpr size_t kPageJobs = 100;  // newest, on the status page
constexpr size_t kPageStudies = 20;
constexpr size_t kPagePoints = 400;  // of a curve, where the caller does not say

int answer(mg_connection* connection, int code, const char* type, const std::string& body) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
            "Connection: close\r\n\r\n",
            code, mg_get_response_code_text(connection, code), type, body.size());
  mg_write(connection, body.data(), body.size());
  return code;
}

int on_metrics(mg_connection* connection, void* data) {
  Daemon& daemon = *static_cast<Daemon*>(data);
  const std::vector<ArtifactInfo> artifacts = daemon.artifacts().list();
  int64_t bytes = 0;
  for (const ArtifactInfo& artifact : artifacts) bytes += artifact.size;
  daemon.meters().artifacts_stored(artifacts.size(), bytes);
  const std::string text = daemon.ask<std::string>([&](const State& state) {
    return daemon.meters().text(state, [&](const std::string& worker) {
      return std::max(0.0, absl::ToDoubleSeconds(absl::Now() - daemon.presence().last_heard(worker)));
    });
  });
  return answer(connection, 200, "text/plain; version=0.0.4", text);
}

int on_jobs(mg_connection* connection, void* data) {
  Daemon& daemon = *static_cast<Daemon*>(data);
  using Seen = std::pair<v1::ListJobsResponse, v1::ListWorkersResponse>;
  const Seen seen = daemon.ask<Seen>([&daemon](const State& state) {
    Seen s;
    for (auto at = state.by_order.rbegin(); at != state.by_order.rend() && s.first.jobs_size() < int(kPageJobs); ++at) {
      *s.first.add_jobs() = view(state.jobs.at(at->second));
    }
    for (const auto& [name, worker] : state.workers) *s.second.add_workers() = daemon.seen(state, worker);
    return s;
  });
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string jobs, workers;
  (void)google::protobuf::util::MessageToJsonString(seen.first, &jobs, options);
  (void)google::protobuf::util::MessageToJsonString(seen.second, &workers, options);
  jobs.back() = ',';  // {"jobs": ..., "workers": ...}
  return answer(connection, 200, "application/json", jobs + workers.substr(1));
}

// /api/jobs/ID/metrics[?points=N]: the history, training thinned out to about N points (0: all of them).
int on_history(mg_connection* connection, void* data) {
  Daemon& daemon = *static_cast<Daemon*>(data);
  const mg_request_info* request = mg_get_request_info(connection);
  absl::string_view path = request->local_uri;
  if (!absl::ConsumePrefix(&path, "/api/jobs/")) return on_jobs(connection, data);
  if (!absl::ConsumeSuffix(&path, "/metrics")) {
    return answer(connection, 404, "text/plain", absl::StrCat("no such page: ", request->local_uri, "\n"));
  }
  size_t points = kPagePoints;
  absl::string_view query = request->query_string ? request->query_string : "";
  if (absl::ConsumePrefix(&query, "points=") && !absl::SimpleAtoi(query, &points)) {
    return answer(connection, 400, "text/plain", absl::StrCat("points=", query, " is not a number\n"));
  }
  auto records = daemon.store().metrics(std::string(path));
  if (!records.ok()) return answer(connection, 500, "text/plain", std::string(records.status().message()));
  const size_t every = points == 0 ? 1 : std::max<size_t>(1, records->size() / points);
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < records->size(); ++i) {
    const v1::MetricRecord& r = (*records)[i];
    const bool train = r.kind() == "train";
    if (train && i % every != 0 && i + 1 != records->size()) continue;
    nlohmann::json line = {{"kind", r.kind()},
                           {"step", r.step()},
                           {"epoch", r.epoch()},
                           {"time", r.time()},
                           {"loss", r.has_loss() ? nlohmann::json(r.loss()) : nlohmann::json()}};
    if (train) line["samples_per_second"] = r.samples_per_second();
    if (!train && r.has_accuracy()) line["accuracy"] = r.accuracy();
    list.push_back(std::move(line));
  }
  return answer(connection, 200, "application/json", list.dump());
}

std::string objective_of(const v1::StudySpec& spec) {
  return absl::StrJoin(spec.objectives(), ", ",
                       [](std::string* out, const v1::ObjectiveSpec& o) { absl::StrAppend(out, o.metric()); });
}

// The best value so far, after each trial that ended with one. Of two objectives there is none.
nlohmann::json best_so_far(const v1::StudyRecord& record) {
  nlohmann::json curve = nlohmann::json::array();
  if (record.study().spec().objectives_size() != 1) return curve;
  const double sign = record.study().spec().objectives(0).maximize() ? 1 : -1;
  for (const v1::TuneEvent& e : record.log()) {
    if (!e.has_told()) continue;
    const double value = e.told().values(0);
    curve.push_back(curve.empty() || sign * value > sign * curve.back().get<double>() ? value
                                                                                      : curve.back().get<double>());
  }
  return curve;
}

nlohmann::json summary(const v1::StudyRecord& record) {
  const v1::Study study = view(record);
  return {{"id", study.id()},
          {"state", v1::StudyState_Name(study.state())},
          {"reason", study.reason()},
          {"objective", objective_of(study.spec())},
          {"trials", study.spec().budget().trials()},
          {"finished", study.trials_finished()},
          {"failed", study.trials_failed()},
          {"running", study.trials_running()},
          {"epochs", study.epochs()},
          {"epochs_saved", study.epochs_saved()},
          {"about", !study.spec().budget().has_max_epochs()},
          {"created_at_us", study.created_at_us()},
          {"best_so_far", best_so_far(record)},
          {"front", study.best().front_size()}};
}

int on_studies(mg_connection* connection, void* data) {
  const std::string list = static_cast<Daemon*>(data)->ask<std::string>([](const State& state) {
    nlohmann::json studies = nlohmann::json::array();
    for (auto at = state.studies_by_order.rbegin();
         at != state.studies_by_order.rend() && studies.size() < kPageStudies; ++at)
      studies.push_back(summary(state.studies.at(at->second)));
    return studies.dump();
  });
  return answer(connection, 200, "application/json", list);
}

int on_page(mg_connection* connection, void*) {
  const std::string uri = mg_get_request_info(connection)->local_uri;
  if (uri != "/") return answer(connection, 404, "text/plain", absl::StrCat("no such page: ", uri, "\n"));
  return answer(connection, 200, "text/html; charset=utf-8", kStatusPage);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Http>> Http::serve(Daemon& daemon, const std::string& address) {
  std::unique_ptr<Http> http(new Http);
  const char* options[] = {"listening_ports", address.c_str(),     "num_threads", "4",    "request_timeout_ms",
                           "10000",           "enable_keep_alive", "no",          nullptr};
  mg_callbacks callbacks{};
  http->server_ = mg_start(&callbacks, &daemon, options);
  mg_server_port port{};
  if (!http->server_ || mg_get_server_ports(http->server_, 1, &port) < 1) {
    return absl::UnavailableError(absl::StrCat("[http] cannot listen on ", address));
  }
  http->address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", port.port);
  mg_set_request_handler(http->server_, "/metrics$", on_metrics, &daemon);
  mg_set_request_handler(http->server_, "/api/jobs", on_history, &daemon);
  mg_set_request_handler(http->server_, "/api/studies$", on_studies, &daemon);
  mg_set_request_handler(http->server_, "/", on_page, &daemon);
  return http;
}

// The listening thread looks up every two seconds, or when somebody calls: so it is called until it has ended.
Http::~Http() {
  if (!server_) return;
  absl::Notification stopped;
  std::thread stopper([&] {
    mg_stop(server_);
    stopped.Notify();
  });
  const size_t colon = address_.rfind(':');
  const std::string host = address_.substr(0, colon);
  do {
    char error[100];
    mg_connection* call =
        mg_connect_client(host.c_str(), std::stoi(address_.substr(colon + 1)), 0, error, sizeof error);
    if (call) mg_close_connection(call);
  } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(20)));
  stopper.join();
}

}  // namespace ds::coordinator

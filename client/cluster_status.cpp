// How the local cluster is: whether its processes are there, and whether they answer.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/address.h"
#include "client/client.h"
#include "client/cluster.h"
#include "client/process.h"

namespace ds::client {
namespace {

constexpr std::chrono::milliseconds kAnswer{1000};  // for the coordinator
constexpr double kHeartbeats = 2;                   // seconds; a worker beats twice in one

void set_state(Json& daemon, const char* state, const std::string& detail = "") {
  daemon["state"] = state;
  daemon["detail"] = detail;
}

void look_at_process(Json& daemon) {
  const ProcessId process = process_of(daemon);
  if (!alive(process)) return set_state(daemon, "GONE");
  if (stopped(process)) return set_state(daemon, "UNRESPONSIVE", "its process is stopped, by SIGSTOP or a debugger");
  set_state(daemon, "RUNNING");
}

std::string unheard(double seconds) { return absl::StrCat("not heard for ", std::llround(seconds), " s"); }

// What the coordinator says of a worker whose process is there.
void look_at_worker(Json& daemon, const std::vector<v1::Worker>& workers) {
  const auto since = [](int64_t us) {
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count() - 1e-6 * us;
  };
  for (const v1::Worker& worker : workers) {
    if (worker.name() != daemon.value("name", "")) continue;
    const double silence = worker.last_heartbeat_us() > 0 ? since(worker.last_heartbeat_us()) : 0;
    if (worker.lost_since_us() > 0)
      return set_state(daemon, "UNRESPONSIVE",
                       absl::StrCat("lost by the coordinator, ", unheard(since(worker.lost_since_us()))));
    if (silence > kHeartbeats) return set_state(daemon, "UNRESPONSIVE", unheard(silence));
    if (worker.state() == v1::WORKER_DRAINING || worker.state() == v1::WORKER_DRAINED)
      daemon["detail"] = "takes no ranks: drained";
    return;
  }
  set_state(daemon, "UNRESPONSIVE", "the coordinator does not know it");
}

// A listing goes through the coordinator's state, so that an answer says more than an open port does.
void ask_coordinator(Json& record) {
  Json& coordinator = record["coordinator"];
  if (coordinator["state"] != "RUNNING") return;
  Client client({record.value("address", ""), kAnswer, std::chrono::milliseconds(0), kAnswer});
  auto workers = client.workers();
  if (!workers.ok())
    return set_state(coordinator, "UNRESPONSIVE",
                     absl::IsDeadlineExceeded(workers.status())
                         ? absl::StrCat("no answer within ", kAnswer.count() / 1000, " s")
                         : std::string(workers.status().message()));
  for (Json& worker : record["workers"])
    if (worker["state"] == "RUNNING") look_at_worker(worker, *workers);
}

}  // namespace

absl::StatusOr<Json> cluster_status() {
  Json record = read_json(cluster_file());
  if (!record.is_object()) return absl::NotFoundError("no cluster is up; start one with `dsctl cluster up`");
  look_at_process(record["coordinator"]);
  for (Json& worker : record["workers"]) look_at_process(worker);
  ask_coordinator(record);
  size_t running = 0, gone = 0;
  const auto count = [&](const Json& daemon) {
    running += daemon["state"] == "RUNNING" ? 1 : 0;
    gone += daemon["state"] == "GONE" ? 1 : 0;
  };
  count(record["coordinator"]);
  for (const Json& worker : record["workers"]) count(worker);
  const size_t all = record["workers"].size() + 1;
  record["state"] = gone == all ? "DOWN" : running == all ? "UP" : "DEGRADED";
  return record;
}

View cluster_view(const Json& cluster) {
  const auto daemon_text = [](const Json& d) {
    const std::string detail = d.value("detail", "");
    return absl::StrCat(d.value("name", ""), " pid ", d.value("pid", 0), " ", d.value("state", "RUNNING"),
                        detail.empty() ? "" : absl::StrCat(" (", detail, ")"));
  };
  const auto workers = [daemon_text](const Json& c) {
    std::vector<std::string> all;
    for (const Json& w : c["workers"])
      all.push_back(absl::StrCat(daemon_text(w), ", slots ", w.value("slots", 0), ", cores ", w.value("cores", "")));
    return absl::StrJoin(all, "; ");
  };
  return {cluster,
          {{"STATE", text_at("/state")},
           {"ADDRESS", text_at("/address")},
           {"STATUS PAGE", [](const Json& c) { return absl::StrCat("http://", c.value("http", "")); }},
           {"COORDINATOR", [daemon_text](const Json& c) { return daemon_text(c["coordinator"]); }},
           {"WORKERS", workers},
           {"DATA", text_at("/data")},
           {"LOGS", text_at("/logs")}}};
}

}  // namespace ds::client

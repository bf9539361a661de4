#include "worker/metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

namespace ds::worker {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Column {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const RankTotals&);
  bool (*applies)(const RankTotals&);
};

bool always(const RankTotals&) { return true; }

constexpr Column kColumns[] = {
    {"ds_step_seconds_total", "Time in training steps.", MetricType::Counter,
     [](const RankTotals& t) { return t.past.step_seconds() + t.now.step_seconds(); }, always},
    {"ds_steps_total", "Training steps done.", MetricType::Counter,
     [](const RankTotals& t) { return static_cast<double>(t.past.steps() + t.now.steps()); }, always},
    {"ds_samples_total", "Training samples used.", MetricType::Counter,
     [](const RankTotals& t) { return static_cast<double>(t.past.samples() + t.now.samples()); }, always},
    {"ds_job_loss", "Training loss of the last step.", MetricType::Gauge, [](const RankTotals& t) { return t.loss; },
     [](const RankTotals& t) { return t.has_loss; }},
    {"ds_allreduce_seconds_total", "Time in all_reduce.", MetricType::Counter,
     [](const RankTotals& t) { return t.past.allreduce_seconds() + t.now.allreduce_seconds(); }, always},
    {"ds_allreduce_bytes_total", "Bytes reduced by all_reduce.", MetricType::Counter,
     [](const RankTotals& t) { return static_cast<double>(t.past.allreduce_bytes() + t.now.allreduce_bytes()); },
     always},
    {"ds_checkpoint_seconds_total", "Time spent writing checkpoints.", MetricType::Counter,
     [](const RankTotals& t) { return t.past.checkpoint_seconds() + t.now.checkpoint_seconds(); }, always},
    {"ds_checkpoints_total", "Checkpoints written.", MetricType::Counter,
     [](const RankTotals& t) { return static_cast<double>(t.past.checkpoints() + t.now.checkpoints()); }, always},
    {"ds_rank_restarts_total", "Starts of a rank on this worker after the job's first generation.", MetricType::Counter,
     [](const RankTotals& t) { return static_cast<double>(t.restarts); }, always},
    {"ds_executor_heartbeat_age_seconds", "Time since the executor's last beat.", MetricType::Gauge,
     [](const RankTotals& t) { return t.silence; }, [](const RankTotals& t) { return t.alive; }},
};

ClientMetric make(std::vector<ClientMetric::Label> labels, MetricType type, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return metric;
}

const char* state_name(v1::RankState state) {
  switch (state) {
    case v1::RANK_SPAWNED:
      return "spawned";
    case v1::RANK_READY:
      return "ready";
    case v1::RANK_RUNNING:
      return "running";
    default:
      return "assigned";
  }
}

}  // namespace

std::vector<MetricFamily> AgentMetrics::Collect() const {
  Snapshot s = agent_.snapshot();
  std::vector<MetricFamily> families;
  MetricFamily executors{"ds_worker_executors", "Executors by state.", MetricType::Gauge, {}};
  for (v1::RankState state : {v1::RANK_ASSIGNED, v1::RANK_SPAWNED, v1::RANK_READY, v1::RANK_RUNNING}) {
    executors.metric.push_back(
        make({{"worker", worker_}, {"state", state_name(state)}}, MetricType::Gauge, s.executors[state]));
  }
  families.push_back(std::move(executors));
  auto one = [&](const char* name, const char* help, MetricType type, double value) {
    families.push_back({name, help, type, {make({{"worker", worker_}}, type, value)}});
  };
  one("ds_worker_connected", "1 while the coordinator knows this worker.", MetricType::Gauge, s.registered);
  one("ds_worker_draining", "1 while no new ranks are taken.", MetricType::Gauge, s.draining);
  one("ds_worker_metrics_dropped_total", "Batches given up while the coordinator was away.", MetricType::Counter,
      static_cast<double>(s.dropped_metrics));
  one("ds_artifact_fetched_bytes_total", "Bytes of artifacts that came from the coordinator.", MetricType::Counter,
      static_cast<double>(s.artifacts.fetched_bytes));
  one("ds_artifact_fetches_total", "Artifacts fetched whole.", MetricType::Counter,
      static_cast<double>(s.artifacts.fetches));
  one("ds_artifact_cache_hits_total", "Artifacts that were in the cache.", MetricType::Counter,
      static_cast<double>(s.artifacts.hits));
  one("ds_artifact_cache_evictions_total", "Artifacts removed from the cache to make room.", MetricType::Counter,
      static_cast<double>(s.artifacts.evictions));
  one("ds_artifact_cache_bytes", "Bytes of artifacts in the cache.", MetricType::Gauge,
      static_cast<double>(s.artifacts.cached_bytes));
  for (const Column& column : kColumns) {
    MetricFamily family{column.name, column.help, column.type, {}};
    for (const auto& [key, totals] : s.ranks) {
      if (!column.applies(totals)) continue;
      family.metric.push_back(make({{"worker", worker_}, {"job", key.first}, {"rank", std::to_string(key.second)}},
                                   column.type, column.value(totals)));
    }
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  return families;
}

}  // namespace ds::worker

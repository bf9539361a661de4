#include "coordinator/meters.h"

#include <prometheus/text_serializer.h>

namespace ds::coordinator {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                                 const std::vector<double>& bounds) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, bounds);
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

constexpr absl::Duration kSeenAfterEnd = absl::Minutes(3);
constexpr size_t kMostReported = 16;  // names of a job
const std::vector<double> kSeconds = {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 14400};

ClientMetric& add(MetricFamily& family, const char* label, const std::string& value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label.push_back({label, value});
  return metric;
}

// What a script reports by names of its own, which may be many: the first ones by name.
void add_reported(const v1::Job& job, MetricFamily& family) {
  const std::map<std::string, double> figures(job.metrics().reported().begin(), job.metrics().reported().end());
  size_t left = kMostReported;
  for (auto it = figures.begin(); it != figures.end() && left > 0; ++it, --left) {
    ClientMetric& metric = add(family, "job", job.id());
    metric.label.push_back({"name", it->first});
    metric.gauge.value = it->second;
  }
}

}  // namespace

Meters::Meters()
    : queue_wait_(histogram(registry_, "ds_queue_wait_seconds", "From queued to placed", kSeconds)),
      recovery_(histogram(registry_, "ds_recovery_seconds", "From a failure to the next completed step", kSeconds)),
      fsync_(histogram(registry_, "ds_wal_fsync_seconds", "One commit of the log, with its fsync",
                       {1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1})),
      suggest_(histogram(registry_, "ds_study_suggest_seconds", "From a free place in a study to its next trial",
                         {1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10})),
      events_(counter(registry_, "ds_log_events_total", "Events made durable")),
      received_(counter(registry_, "ds_artifact_received_bytes_total", "Bytes of artifacts that were uploaded")),
      sent_(counter(registry_, "ds_artifact_sent_bytes_total", "Bytes of artifacts that were fetched")),
      artifacts_(gauge(registry_, "ds_artifacts", "Artifacts stored")),
      artifact_bytes_(gauge(registry_, "ds_artifact_stored_bytes", "Bytes of the artifacts stored")) {}

void Meters::artifacts_stored(size_t count, int64_t bytes) {
  artifacts_.Set(static_cast<double>(count));
  artifact_bytes_.Set(static_cast<double>(bytes));
}

void Meters::measured(const Measure& measure) {
  (measure.what == Measure::kQueueWait ? queue_wait_ : recovery_).Observe(measure.seconds);
}

void Meters::committed(int events, absl::Duration fsync) {
  events_.Increment(events);
  fsync_.Observe(absl::ToDoubleSeconds(fsync));
}

void Meters::trained(const v1::MetricsBatch& batch) {
  absl::MutexLock lock(&mutex_);
  Training& training = training_[batch.job()];
  const std::pair<int64_t, int64_t> number(batch.generation(), batch.sequence());
  if (number <= training.last) return;
  training.last = number;
  for (const v1::MetricRecord& record : batch.records()) {
    if (record.kind() != "train") continue;
    for (Training* sum : {&training, &all_}) {
      sum->samples += static_cast<double>(record.samples());
      sum->step_seconds += record.step_seconds();
      ++sum->steps;
    }
  }
}

// A job is seen by a few more scrapes after its end, and then no more: else the series would only grow.
void Meters::forget_old(const State& state, absl::Time now) {
  const int64_t since = absl::ToUnixMicros(now - kSeenAfterEnd);
  std::erase_if(training_, [&](const auto& entry) {
    auto found = state.jobs.find(entry.first);
    if (found == state.jobs.end()) return true;
    const v1::Job& job = found->second.job();
    return ended(job.state()) && job.finished_at_us() < since;
  });
}

void Meters::add_jobs(const State& state, std::vector<MetricFamily>& families) {
  MetricFamily jobs{"ds_jobs", "Jobs by state", MetricType::Gauge, {}};
  MetricFamily loss{"ds_job_loss", "Training loss of the last step reported", MetricType::Gauge, {}};
  MetricFamily reported{"ds_job_reported", "The last value of what a script reports by a name", MetricType::Gauge, {}};
  MetricFamily restarts{"ds_job_restarts_total", "Starts after a failure", MetricType::Counter, {}};
  MetricFamily samples{"ds_job_samples_total", "Training samples reported", MetricType::Counter, {}};
  MetricFamily steps{"ds_job_step_seconds", "Time of a training step", MetricType::Summary, {}};
  std::map<int, int> by_state;
  for (int s = v1::PENDING; s <= v1::CANCELLED; ++s) by_state[s] = 0;
  MetricFamily all_restarts{"ds_restarts_total", "Starts after a failure, of all jobs", MetricType::Counter, {}};
  MetricFamily all_samples{
      "ds_training_samples_total", "Training samples reported, of all jobs", MetricType::Counter, {}};
  all_samples.metric.emplace_back().counter.value = all_.samples;
  double& restarted = all_restarts.metric.emplace_back().counter.value;
  for (const auto& [id, record] : state.jobs) {
    ++by_state[record.job().state()];
    restarted += record.job().restarts();
  }
  for (auto [s, n] : by_state) add(jobs, "state", v1::JobState_Name(s)).gauge.value = n;
  for (const auto& [id, training] : training_) {  // those that trained lately
    const v1::Job& job = state.jobs.at(id).job();
    if (job.metrics().has_loss()) add(loss, "job", id).gauge.value = job.metrics().loss();
    add_reported(job, reported);
    add(restarts, "job", id).counter.value = job.restarts();
    add(samples, "job", id).counter.value = training.samples;
    ClientMetric& step = add(steps, "job", id);
    step.summary.sample_count = training.steps;
    step.summary.sample_sum = training.step_seconds;
  }
  for (MetricFamily* family : {&jobs, &loss, &reported, &restarts, &samples, &steps, &all_restarts, &all_samples})
    families.push_back(std::move(*family));
}

// Those that run, and for a few more scrapes those that have ended.
void Meters::add_studies(const State& state, absl::Time now, std::vector<MetricFamily>& families) {
  MetricFamily trials{"ds_study_trials", "Trials of a study by state", MetricType::Gauge, {}};
  MetricFamily best{"ds_study_best_value", "The best value that a trial of a study has had", MetricType::Gauge, {}};
  const int64_t since = absl::ToUnixMicros(now - kSeenAfterEnd);
  for (const auto& [id, record] : state.studies) {
    const v1::Study& study = record.study();
    if (ended(study.state()) && study.finished_at_us() < since) continue;
    std::map<int, int> by_state;
    for (int s = v1::TRIAL_RUNNING; s <= v1::TRIAL_FAILED; ++s) by_state[s] = 0;
    for (const v1::TrialRecord& t : record.trials()) ++by_state[t.trial().state()];
    for (auto [s, n] : by_state) {
      ClientMetric& metric = add(trials, "study", id);
      metric.label.push_back(
          {"state", v1::TrialState_Name(static_cast<v1::TrialState>(s)).substr(sizeof("TRIAL_") - 1)});
      metric.gauge.value = n;
    }
    if (study.has_best() && study.best().front().empty())
      add(best, "study", id).gauge.value = study.best().best_value();
  }
  families.push_back(std::move(trials));
  families.push_back(std::move(best));
}

std::string Meters::text(const State& state, const Heard& heard, absl::Time now) {
  std::vector<MetricFamily> families = registry_.Collect();
  {
    absl::MutexLock lock(&mutex_);
    forget_old(state, now);
    add_jobs(state, families);
  }
  add_studies(state, now, families);
  MetricFamily age{"ds_worker_heartbeat_age_seconds", "Since a worker was last heard", MetricType::Gauge, {}};
  MetricFamily slots{"ds_worker_slots", "Slots a worker lends", MetricType::Gauge, {}};
  MetricFamily workers{"ds_workers", "Workers by state", MetricType::Gauge, {}};
  std::map<int, int> by_state;
  for (int s = v1::WORKER_READY; s <= v1::WORKER_LOST; ++s) by_state[s] = 0;
  for (const auto& [name, worker] : state.workers) ++by_state[worker.state()];
  for (auto [s, n] : by_state) {
    add(workers, "state", v1::WorkerState_Name(s).substr(sizeof("WORKER_") - 1)).gauge.value = n;
  }
  for (const auto& [name, worker] : state.workers) {
    if (worker.state() == v1::WORKER_LOST || worker.state() == v1::WORKER_DRAINED) continue;
    add(age, "worker", name).gauge.value = heard(name);
    add(slots, "worker", name).gauge.value = worker.slots();
  }
  families.push_back(std::move(age));
  families.push_back(std::move(slots));
  families.push_back(std::move(workers));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace ds::coordinator

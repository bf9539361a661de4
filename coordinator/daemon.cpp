#include "coordinator/daemon.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "coordinator/log.h"
#include "proto/spec/job_spec.h"

namespace ds::coordinator {

Daemon::Daemon(const std::string& folder, const DaemonOptions& options)
    : folder_(folder), options_(options), logs_(folder + "/logs") {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::open(const std::string& folder, const DaemonOptions& options) {
  std::error_code error;
  std::unique_ptr<Daemon> daemon(new Daemon(std::filesystem::absolute(folder, error).string(), options));
  absl::StatusOr<std::unique_ptr<Store>> store = Store::open(folder);
  if (!store.ok()) return store.status();
  daemon->store_ = *std::move(store);
  auto artifacts = Artifacts::open(folder + "/artifacts", options.most_artifact_bytes);
  if (!artifacts.ok()) return artifacts.status();
  daemon->artifacts_ = *std::move(artifacts);
  absl::StatusOr<State> state = daemon->store_->load();
  if (!state.ok()) return state.status();
  spdlog::info("event=loaded revision={} jobs={} live={} workers={}", state->revision, state->jobs.size(),
               state->live.size(), state->workers.size());
  for (const auto& [name, worker] : state->workers) {
    if (worker.lost_us() == 0) daemon->presence_.expect(name, absl::Now());
  }
  daemon->tuner_ = std::make_unique<Tuner>([d = daemon.get()](v1::Event answer) { d->mind_->post(std::move(answer)); },
                                           [d = daemon.get()](absl::Duration took) { d->meters_.suggested(took); });
  daemon->mind_ = std::make_unique<Mind>(*daemon->store_, *std::move(state), *daemon);
  daemon->tuner_->start();
  daemon->mind_->ask([tuner = daemon->tuner_.get()](const State& state) {
    for (const Tune& question : unanswered(state)) tuner->ask(question, state.studies.at(question.study));
  });
  daemon->sweeper_ = std::thread([d = daemon.get()] { d->sweep(); });
  daemon->collector_ = std::thread([d = daemon.get()] { d->collect(); });
  return daemon;
}

Daemon::~Daemon() {
  stop_sweeping();
  stop_deciding();
}

// An answer of the tuner's that comes too late is asked for again by the next start.
void Daemon::stop_deciding() {
  if (tuner_) tuner_->stop();
  if (mind_) mind_->stop();
}

v1::Worker Daemon::seen(const State& state, const v1::WorkerRecord& record) {
  v1::Worker worker = view(state, record);
  const absl::Time heard = presence_.last_heard(record.name());
  if (heard != absl::InfinitePast()) worker.set_last_heartbeat_us(absl::ToUnixMicros(heard));
  return worker;
}

void Daemon::stop_sweeping() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (sweeper_.joinable()) sweeper_.join();
  if (collector_.joinable()) collector_.join();
}

void Daemon::collect() {
  const absl::Duration pause = std::clamp(options_.artifact_grace / 4, absl::Milliseconds(100), absl::Minutes(10));
  while (!stop_.WaitForNotificationWithTimeout(pause)) {
    collect_artifacts(absl::Now());
    collect_trials();
  }
}

void Daemon::collect_artifacts(absl::Time now) {
  using Needed = std::map<std::string, absl::Time>;
  const Needed needed = ask<Needed>([](const State& state) {
    Needed until;
    for (const auto& [id, record] : state.jobs) {
      const v1::Job& job = record.job();
      const absl::Time end = ended(job.state()) ? absl::FromUnixMicros(job.finished_at_us()) : absl::InfiniteFuture();
      for (const spec::ArtifactName& a : spec::artifacts(job.spec())) {
        absl::Time& last = until.emplace(a.name, absl::InfinitePast()).first->second;
        last = std::max(last, end);
      }
    }
    for (const auto& [id, record] : state.studies) {  // between two trials no job names them
      if (ended(record.study().state())) continue;
      for (const spec::ArtifactName& a : spec::artifacts(record.study().spec().job()))
        until[a.name] = absl::InfiniteFuture();
    }
    return until;
  });
  const int removed = artifacts_->collect(needed, now - options_.artifact_grace);
  if (removed > 0) spdlog::info("event=collect artifacts={}", removed);
}

void Daemon::collect_trials() {
  const auto over = ask<std::vector<std::string>>([](const State& state) {
    std::vector<std::string> jobs;
    for (const auto& [id, record] : state.studies) {
      if (!ended(record.study().state())) continue;
      for (const v1::TrialRecord& t : record.trials()) {
        const bool stopped = t.trial().state() == v1::TRIAL_STOPPED;
        if (stopped && state.jobs.at(t.trial().job()).job().state() == v1::CANCELLED) jobs.push_back(t.trial().job());
      }
    }
    return jobs;
  });
  for (const std::string& job : over) {
    std::error_code error;
    if (std::filesystem::remove_all(absl::StrCat(folder_, "/jobs/", job), error) > 0 && !error)
      spdlog::info("event=collect job={}", job);
  }
}

void Daemon::sweep() {
  while (!stop_.WaitForNotificationWithTimeout(absl::Milliseconds(100))) {
    for (const Presence::Gone& gone : presence_.sweep(absl::Now())) {
      v1::Event event;
      event.mutable_lost()->set_worker(gone.worker);
      event.mutable_lost()->set_reason(gone.reason);
      mind_->post(std::move(event), {}, [this, gone](const State& state) {
        auto worker = state.workers.find(gone.worker);
        if (worker == state.workers.end() || worker->second.lost_us() > 0) return false;
        if (presence_.attached(gone.worker)) return false;  // it came back meanwhile
        const bool drained = worker->second.state() == v1::WORKER_DRAINED;
        spdlog::log(drained ? spdlog::level::info : spdlog::level::warn, "event={} worker={} reason={}",
                    drained ? "worker_gone" : "worker_lost", gone.worker, in_quotes(gone.reason));
        return true;
      });
    }
  }
}

void Daemon::send(const std::string& worker, v1::CoordinatorMessage message) {
  if (message.has_start()) {
    v1::StartRank* start = message.mutable_start();
    start->set_job_dir(absl::StrCat(folder_, "/jobs/", start->job()));
    start->set_metrics_step(store_->metrics_step(start->job()));
    std::error_code error;
    std::filesystem::create_directories(start->job_dir(), error);
    spdlog::info("event=start job={} generation={} rank={} worker={} device={}", start->job(), start->generation(),
                 start->rank(), worker, start->device());
  } else if (message.has_stop()) {
    const v1::StopRank& stop = message.stop();
    spdlog::info("event=stop job={} generation={} rank={} worker={} checkpoint={}", stop.job(), stop.generation(),
                 stop.rank(), worker, stop.checkpoint());
  }
  presence_.send(worker, std::move(message));
}

void Daemon::changed(const v1::Job& job, v1::JobState) { hub_.publish(job.id(), &job); }

void Daemon::changed(const v1::StudyRecord& study, const NotifyStudy& how) {
  study_hub_.publish(how.study, &study);
  if (ended(how.after)) tuner_->forget(how.study);
}

}  // namespace ds::coordinator

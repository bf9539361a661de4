// What workers say: they come, go, drain, and report their executors.
#include "absl/strings/str_cat.h"
#include "coordinator/core/machine.h"

namespace ds::coordinator {

v1::CoordinatorMessage& Machine::send(const std::string& worker) {
  effects_.push_back(Send{worker, {}});
  return std::get<Send>(effects_.back()).message;
}

std::vector<v1::JobRecord*> Machine::jobs_on(const std::string& worker) {
  std::vector<v1::JobRecord*> found;
  for (int64_t order : state_.live) {
    v1::JobRecord& record = state_.jobs.at(state_.by_order.at(order));
    for (const v1::RankRecord& rank : record.ranks()) {
      if (rank.worker() != worker || released(rank)) continue;
      found.push_back(&record);
      break;
    }
  }
  return found;
}

void Machine::on(const v1::WorkerRegistered& event) {
  const v1::Register& hello = event.register_();
  v1::WorkerRecord& worker = state_.workers[hello.worker()];
  lose_profiler(hello.worker(), worker.incarnation() != hello.incarnation());
  if (worker.incarnation() != hello.incarnation()) {
    worker.set_draining(false);
    worker.set_leaving(false);
  }
  worker.clear_lost_us();
  worker.set_name(hello.worker());
  worker.set_incarnation(hello.incarnation());
  worker.set_slots(hello.slots());
  *worker.mutable_labels() = hello.labels();
  worker.set_metrics_address(hello.metrics_address());
  worker.clear_constants();
  if (hello.has_constants()) *worker.mutable_constants() = hello.constants();
  worker.set_state(worker.draining() ? v1::WORKER_DRAINING : v1::WORKER_READY);
  replan_ = true;

  v1::Registered* registered = send(hello.worker()).mutable_registered();
  registered->set_heartbeat_ms(kHeartbeatMs);
  registered->set_draining(worker.draining());
  for (v1::JobRecord* record : jobs_on(hello.worker())) {
    for (int r = 0; r < record->ranks_size(); ++r) {
      if (record->ranks(r).worker() == hello.worker() && !released(record->ranks(r))) reconcile(*record, r, hello);
    }
    maybe_ended(*record);
  }
  // What is left over is none of ours any more, and report() has it stopped.
  for (const v1::ExecutorReport& executor : hello.executors()) report(hello.worker(), executor);
}

// One rank that should be on this worker, against what the worker says it has.
void Machine::reconcile(v1::JobRecord& record, int rank, const v1::Register& hello) {
  for (const v1::ExecutorReport& executor : hello.executors()) {
    if (executor.job() != record.job().id() || executor.generation() != record.job().generation() ||
        executor.rank() != rank) {
      continue;
    }
    report(hello.worker(), executor);
    const v1::RankRecord& now = record.ranks(rank);
    if (record.met() && record.stop() == v1::STOP_NOTHING && now.state() == v1::RANK_READY) send_meet(record, rank);
    if (record.stop() != v1::STOP_NOTHING && now.state() == v1::RANK_RUNNING) stop_rank(record, rank);
    return;
  }
  v1::RankRecord& lost = *record.mutable_ranks(rank);
  const bool never_started = lost.state() == v1::RANK_ASSIGNED;
  if (never_started && record.stop() == v1::STOP_NOTHING) return send_start(record, rank);
  touch(record);
  lost.set_state(v1::RANK_LOST);
  lost.set_detail("the worker came back without it");
  if (!never_started) {
    worker_failed(record, absl::StrCat("rank ", rank, " on ", hello.worker(), " was lost with its worker daemon"),
                  true);
  }
}

void Machine::lose_ranks(const std::string& worker, const std::string& reason) {
  for (v1::JobRecord* record : jobs_on(worker)) {
    touch(*record);
    bool ran = false;
    for (v1::RankRecord& rank : *record->mutable_ranks()) {
      if (rank.worker() != worker || released(rank)) continue;
      ran = ran || rank.state() != v1::RANK_ASSIGNED;
      rank.set_state(v1::RANK_LOST);
      rank.set_detail(reason);
    }
    worker_failed(*record, reason, ran);
    maybe_ended(*record);
  }
  replan_ = true;
}

void Machine::on(const v1::WorkerLost& event) {
  auto worker = state_.workers.find(event.worker());
  if (worker == state_.workers.end() || worker->second.lost_us() > 0) return;
  worker->second.set_lost_us(now_);
  lose_profiler(event.worker(), worker->second.state() != v1::WORKER_DRAINED);
  if (worker->second.state() == v1::WORKER_DRAINED) return;  // as it should
  worker->second.set_state(v1::WORKER_LOST);
  lose_ranks(event.worker(), absl::StrCat("worker ", event.worker(), " was lost: ", event.reason()));
}

void Machine::on(const v1::WorkerDraining& event) {
  auto worker = state_.workers.find(event.worker());
  if (worker == state_.workers.end()) return;
  if (event.leaving()) worker->second.set_leaving(true);
  if (worker->second.state() != v1::WORKER_READY) return;
  worker->second.set_draining(true);
  worker->second.set_state(v1::WORKER_DRAINING);
  replan_ = true;
  send(event.worker()).mutable_drain();
  for (v1::JobRecord* record : jobs_on(event.worker())) {
    if (record->stop() != v1::STOP_NOTHING) continue;
    begin_stop(*record, v1::STOP_TO_MOVE, absl::StrCat("worker ", event.worker(), " drains"));
  }
}

void Machine::on(const v1::WorkerDrained& event) {
  auto worker = state_.workers.find(event.worker());
  if (worker == state_.workers.end() || !worker->second.draining()) return;  // it was undrained meanwhile
  worker->second.set_state(v1::WORKER_DRAINED);
  lose_ranks(event.worker(), absl::StrCat("worker ", event.worker(), " has drained"));
}

void Machine::on(const v1::WorkerUndrained& event) {
  auto worker = state_.workers.find(event.worker());
  if (worker == state_.workers.end() || !worker->second.draining() || worker->second.lost_us() > 0) return;
  worker->second.set_draining(false);
  worker->second.set_state(v1::WORKER_READY);
  send(event.worker()).mutable_undrain();
  replan_ = true;
}

void Machine::on(const v1::WorkerRemoved& event) {
  auto worker = state_.workers.find(event.worker());
  if (worker != state_.workers.end() && worker->second.lost_us() > 0) state_.workers.erase(worker);
}

// Nothing refers to a worker that is gone: its ranks were lost with it, and the jobs' records keep its name.
void Machine::forget_workers() {
  std::erase_if(state_.workers, [this](const auto& entry) {
    return entry.second.lost_us() > 0 && entry.second.lost_us() + kForgetUs <= now_;
  });
}

void Machine::on(const v1::ExecutorReported& event) { report(event.worker(), event.report()); }

void Machine::report(const std::string& worker, const v1::ExecutorReport& report) {
  v1::JobRecord* record = find(report.job());
  const int r = report.rank();
  const bool ours = record && report.generation() == record->job().generation() && r >= 0 && r < record->ranks_size() &&
                    record->ranks(r).worker() == worker && !released(record->ranks(r));
  if (!ours) {  // of an older start, or thought lost: it must not go on
    if (report.state() == v1::RANK_EXITED) return;
    v1::StopRank* stop = send(worker).mutable_stop();
    stop->set_job(report.job());
    stop->set_generation(report.generation());
    stop->set_rank(r);
    return;
  }
  if (report.state() < v1::RANK_ASSIGNED || report.state() > v1::RANK_EXITED) return;  // not a worker's to say
  touch(*record);
  if (report.state() == v1::RANK_EXITED) return exited(*record, r, report);
  v1::RankRecord& rank = *record->mutable_ranks(r);
  rank.set_state(report.state());
  if (report.pid() != 0) rank.set_pid(report.pid());
  if (!report.address().empty()) rank.set_address(report.address());
  rank.set_detail(report.detail());
  if (record->stop() != v1::STOP_NOTHING && report.state() != v1::RANK_RUNNING) return stop_rank(*record, r);
  if (record->job().state() == v1::ADMITTED) set_state(*record, v1::STARTING, record->job().reason());
  meet_if_ready(*record);
}

void Machine::exited(v1::JobRecord& record, int r, const v1::ExecutorReport& report) {
  v1::RankRecord& rank = *record.mutable_ranks(r);
  rank.set_state(v1::RANK_EXITED);
  rank.set_detail(report.detail());
  rank.set_complete(record.met() && report.exit_code() == 0 && !report.stopped());
  replan_ = true;
  const bool failed = report.exit_code() != 0 && !report.stopped();
  // A trial's memory is its configuration's: another start wants as much. A plain job may find more elsewhere or later.
  const bool too_large = record.job().has_trial() && report.failure() == v1::FAILURE_OOM;
  const bool for_good = failed && (!report.retryable() || too_large);
  const std::string reason =
      absl::StrCat("rank ", r, " on ", rank.worker(), ": ",
                   report.detail().empty() ? absl::StrCat("exited with ", report.exit_code()) : report.detail());
  if (for_good && record.stop() != v1::STOP_TO_CANCEL && record.stop() != v1::STOP_TO_FAIL) {
    if (record.stop() == v1::STOP_TO_RECOVER)
      record.mutable_job()->set_restarts(record.job().restarts() - 1);  // no more
    const bool named = report.failure() != v1::FAILURE_UNSPECIFIED;
    begin_to_fail(record, named ? report.failure() : v1::FAILURE_USER_ERROR, reason);
  } else if (!rank.complete() && !(report.stopped() && record.stop() != v1::STOP_NOTHING)) {
    rank_failed(record, reason, report.failure());
  }
  maybe_ended(record);
}

void Machine::meet_if_ready(v1::JobRecord& record) {
  if (record.met() || record.stop() != v1::STOP_NOTHING) return;
  for (const v1::RankRecord& rank : record.ranks()) {
    if (rank.state() != v1::RANK_READY || rank.address().empty()) return;
  }
  record.set_met(true);
  if (record.job().started_at_us() == 0) record.mutable_job()->set_started_at_us(now_);
  set_state(record, v1::RUNNING, record.job().reason());
  for (int r = 0; r < record.ranks_size(); ++r) send_meet(record, r);
}

void Machine::send_meet(const v1::JobRecord& record, int rank) {
  v1::MeetPeers* meet = send(record.ranks(rank).worker()).mutable_meet();
  meet->set_job(record.job().id());
  meet->set_generation(record.job().generation());
  meet->set_rank(rank);
  for (const v1::RankRecord& peer : record.ranks()) meet->add_addresses(peer.address());
}

}  // namespace ds::coordinator
